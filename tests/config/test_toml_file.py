"""TOML into settings: every fault in one report, each with its key."""

import datetime
import math
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from upscale_cli.config.toml_file import Settings, parse, read_toml
from upscale_cli.errors import UsageError


class Inner(Settings):
    rate: float = Field(default=1.0, gt=0)
    counts: tuple[int, ...] = Field(default=(1,), min_length=1)


class Outer(Settings):
    name: str
    count: int = 1
    place: Path | None = None
    inner: Inner = Inner()
    other: Inner = Inner()


def test_tables_become_frozen_settings(tmp_path: Path):
    file = tmp_path / "a.toml"
    file.write_text('name = "x"\n[inner]\nrate = 2.5\n')
    settings = parse(Outer, read_toml(file), str(file))
    assert settings == Outer(name="x", inner=Inner(rate=2.5))
    with pytest.raises(ValidationError):
        settings.name = "y"  # type: ignore[misc]


def test_whole_numbers_text_and_lists_are_numbers_paths_and_tuples_too():
    settings = parse(Outer, {"name": "x", "place": "a/b", "inner": {"rate": 3, "counts": [1, 2]}}, "a.toml")
    assert (settings.place, settings.inner) == (Path("a/b"), Inner(rate=3.0, counts=(1, 2)))


def test_every_fault_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        parse(Outer, {"count": "many", "inner": {"rate": -1, "raet": 3}, "nmae": "x"}, "a.toml")
    text = caught.value.message
    assert text.startswith("a.toml: ")
    assert "\n" not in text
    for words in (
        "'name' is missing",
        "'count' = 'many'",
        "'inner.rate' = -1",
        "unknown key 'inner.raet', did you mean 'inner.rate'?",
        "unknown key 'nmae', did you mean 'name'?",
    ):
        assert words in text


@pytest.mark.parametrize(
    "tables, words",
    [
        ({"coutn": 1}, "unknown key 'coutn', did you mean 'count'?"),
        ({"other": {"coutns": 1}}, "unknown key 'other.coutns', did you mean 'other.counts'?"),
        ({"iner": {"rate": 1}}, "unknown key 'iner', did you mean 'inner'?"),
        ({"rate": 1}, "unknown key 'rate', did you mean 'inner.rate' or 'other.rate'?"),
        ({"zzz": 1}, "a.toml: unknown key 'zzz' (mend"),
        ({"count": "many"}, "'count' = 'many' should be a valid integer"),
        ({"inner": 3}, "'inner' = 3 should be a table"),
        ({"name": {"x": 1}}, "'name' should be a valid string"),
        ({"inner": {"counts": []}}, "'inner.counts' = [] should hold more values"),
        ({"inner": {"counts": "ab"}}, "'inner.counts' = 'ab' should be a list, in square brackets"),
        ({"count": True}, "'count' = True should be a valid integer"),
        ({"count": "3"}, "'count' = '3' should be a valid integer"),
        ({"inner": {"counts": [False]}}, "'inner.counts.0' = False should be a valid integer"),
        ({"inner": {"rate": "1.5"}}, "'inner.rate' = '1.5' should be a valid number"),
        ({"inner": {"rate": math.inf}}, "'inner.rate' = inf should be a finite number"),
        ({"inner": {"rate": math.nan}}, "'inner.rate' = nan should be a finite number"),
        ({"name": datetime.date(1979, 5, 27)}, "'name' = 1979-05-27: no key takes a date"),
        ({"name": "n\udcffr"}, "'name' = 'n\\udcffr': is not text in UTF-8"),
        ({"place": 3}, "'place' = 3 should be a valid string"),
    ],
)
def test_a_fault_reads_as_a_sentence(tables: dict[str, object], words: str):
    with pytest.raises(UsageError) as caught:
        parse(Outer, {"name": "x"} | tables, "a.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize("content, words", [(b"a = ", "is not valid TOML"), (b"a = '\xff'", "is not valid TOML")])
def test_what_is_no_toml_is_a_sentence(tmp_path: Path, content: bytes, words: str):
    file = tmp_path / "a.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        read_toml(file)


def test_a_file_that_is_not_there_and_a_folder_are_sentences(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_toml(tmp_path)
