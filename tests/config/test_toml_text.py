"""Settings as TOML: bare, and with what their keys mean."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.config.toml_text import SHOWN, annotated, to_toml


def test_what_is_written_reads_back():
    tables = {
        "name": 'a "quoted" \\ näme\n\x7f',
        "flag": True,
        "small": 5e-06,
        "large": 1e20,
        "count": 3,
        "list": ["a", 1.5],
        "table": {"x": 1, "deeper": {"y": [1, 2]}},
        "empty": {},
    }
    assert tomllib.loads(to_toml(tables | {"nothing": None})) == tables


class Rate(Settings):
    """How fast."""

    start: float = Field(default=0.1, gt=0, lt=1)
    """Where it begins."""
    kind: Literal["a", "b"] = "a"


class Everything(Settings):
    """All there is."""

    name: str = Field(examples=["mine"])
    """What it is called,
    and by whom."""
    form: Literal[3]
    count: int | None = Field(default=None, ge=2, le=9, examples=[5])
    place: Path | None = None
    wanted: Path | None = Field(default=None, examples=["here"], json_schema_extra=SHOWN)
    pair: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    fine: bool = True
    rate: Rate = Rate(start=0.5)
    last: int = 1


def test_every_key_is_there_with_its_meaning_its_default_and_what_it_may_be():
    assert (
        annotated(Everything)
        == """# What it is called, and by whom.
name = "mine"  # text; required

form = 3

# count = 5  # whole number 2 to 9

# place =  # text

wanted = "here"  # text

pair = [0.0, 1.0]  # 2 values, each a number at least 0

names = []  # a list, each text

fine = true  # true or false

last = 1  # whole number


# How fast.
[rate]

# Where it begins.
start = 0.5  # number above 0 and below 1

kind = "a"  # one of "a", "b"
"""
    )


def test_it_reads_back_as_the_defaults():
    expected = Everything(name="mine", form=3, wanted=Path("here"))
    assert Everything.model_validate(tomllib.loads(annotated(Everything))) == expected
