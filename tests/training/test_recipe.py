"""Recipes as tables: overridden, rooted, compared, written."""

import tomllib
from pathlib import Path

import pytest

from upscale_cli.errors import UsageError
from upscale_cli.training.recipe import differences, merged, override_tables, rooted, to_toml
from upscale_cli.training.settings import RecipeSettings


def test_overrides_are_toml_values_or_plain_text():
    assert override_tables(
        [
            "max_steps=5",
            "optimiser.lr = 1e-4",
            "optimiser.betas=[0.5, 0.9]",
            "name=mine",
            'method="x=y"',
            "data.train=/a b",
        ]
    ) == {
        "max_steps": 5,
        "optimiser": {"lr": 1e-4, "betas": [0.5, 0.9]},
        "name": "mine",
        "method": "x=y",
        "data": {"train": "/a b"},
    }


@pytest.mark.parametrize("override", ["", "name", "=3", ".a=3", "a..b=3", "a.=3"])
def test_what_is_no_override_is_refused(override):
    with pytest.raises(UsageError, match="is not KEY=VALUE"):
        override_tables([override])


def test_changes_go_over_tables_key_by_key():
    tables = {"a": 1, "t": {"x": 1, "y": {"z": 1}}}
    assert merged(tables, {"t": {"y": {"w": 2}}, "b": 3}) == {"a": 1, "t": {"x": 1, "y": {"z": 1, "w": 2}}, "b": 3}
    assert merged(tables, {"t": 5}) == {"a": 1, "t": 5}
    assert tables == {"a": 1, "t": {"x": 1, "y": {"z": 1}}}


def test_only_paths_are_rooted():
    tables = {
        "name": "train",
        "data": {"train": "../in", "lr": "small", "holdout": ["x"]},
        "unknown": {"train": "y"},
    }
    assert rooted(tables, RecipeSettings, Path("/somewhere/configs")) == tables | {
        "data": {"train": "/somewhere/in", "lr": "/somewhere/configs/small", "holdout": ["x"]}
    }
    assert rooted({"data": {"train": "/absolute"}}, RecipeSettings, Path("/x")) == {"data": {"train": "/absolute"}}
    assert rooted({"data": 3}, RecipeSettings, Path("/x")) == {"data": 3}


def test_what_is_written_reads_back():
    tables = {
        "name": 'a "quoted" \\ näme\n',
        "flag": True,
        "small": 5e-06,
        "large": 1e20,
        "count": 3,
        "list": ["a", 1.5],
        "table": {"x": 1, "deeper": {"y": [1, 2]}},
        "empty": {},
    }
    assert tomllib.loads(to_toml(tables | {"nothing": None})) == tables


def test_differences_are_named_in_full():
    old = {"a": 1, "t": {"x": 1, "gone": 2}}
    assert differences(old, {"a": 1, "t": {"x": 5}, "new": 7}) == ["t.x 1 -> 5", "t.gone 2 -> None"]
    assert differences(old, old) == []
