"""Recipes as tables: overridden, rooted, compared."""

from pathlib import Path

import pytest

from upscale_cli.config.toml_file import Settings
from upscale_cli.errors import UsageError
from upscale_cli.training.recipe import changes, merged, override_tables, rooted
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


def test_a_second_line_is_no_value_of_its_own():
    assert override_tables(["max_steps=5\nbatch=9"]) == {"max_steps": "5\nbatch=9"}  # which the model refuses


@pytest.mark.parametrize("override", ["", "name", "=3", ".a=3", "a..b=3", "a.=3", "a=", "a= "])
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


def test_a_models_file_is_a_path_and_a_name_is_none(tmp_path: Path):
    class Models(Settings):
        start: str
        teacher: str

    for name in ("mine.safetensors", "rwsr-psnr"):
        (tmp_path / name).touch()
    named = {"start": "mine.safetensors", "teacher": "rwsr-psnr"}
    assert rooted(named, Models, tmp_path) == named | {"start": str(tmp_path / "mine.safetensors")}
    assert rooted(named, Models, tmp_path / "elsewhere") == named


def test_what_is_no_path_is_left_to_the_model():
    for text in ("a\0b", "~nobody-of-that-name/x", "x" * 5000):
        assert rooted({"data": {"train": text}}, RecipeSettings, Path("/x"))["data"]["train"].endswith(text)


class Optimiser(Settings):
    lr: float = 0.1
    warmup: int = 0


class Recipe(Settings):
    name: str
    photos: str | None = None
    optimiser: Optimiser = Optimiser()


def test_changes_are_named_in_full():
    before = {"name": "a", "photos": "here", "optimiser": {"lr": 0.1, "warmup": 3}, "gone": 2}
    after = Recipe(name="a", optimiser=Optimiser(lr=0.2))
    assert changes(before, after) == {
        "photos": "photos here -> nothing",
        "optimiser.lr": "optimiser.lr 0.1 -> 0.2",
        "optimiser.warmup": "optimiser.warmup 3 -> 0",
        "gone": "gone 2 -> nothing",
    }


def test_a_key_that_is_younger_than_the_run_was_at_its_default():
    assert changes({"name": "a"}, Recipe(name="a")) == {}
    changed = changes({"name": "a"}, Recipe(name="a", photos="there", optimiser=Optimiser(warmup=9)))
    assert list(changed.values()) == ["photos nothing -> there", "optimiser.warmup nothing -> 9"]
