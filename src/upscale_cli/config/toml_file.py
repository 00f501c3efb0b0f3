"""TOML -> a checked pydantic model: unknown keys refused with the nearest name, all faults in one report."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from upscale_cli.errors import UsageError


class Settings(BaseModel):
    """A table of settings: frozen, every key must be known, and the text below a key says what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables.  Raises UsageError naming the file and the line where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", "name an existing TOML file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not valid TOML: not text in UTF-8", "name a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not valid TOML: {error}", "mend the line it names") from error


def parse(model: type[M], tables: Mapping[str, Any], source: str) -> M:
    """`tables` as a `model`.  Raises UsageError with every fault at once, each with its key and value."""
    _check_plain(tables, source)
    try:
        # As JSON, where strict leaves a text a path and a list a tuple, but a truth is no number and "3" no 3.
        return model.model_validate_json(json.dumps(tables, default=str), strict=True)
    except ValidationError as error:
        faults = "; ".join(_sentence(fault, model) for fault in error.errors(include_url=False))
        raise UsageError(f"{source}: {faults}", "mend these keys") from error


def _check_plain(value: Any, source: str, key: str = "") -> None:
    """Raises UsageError for what no setting is: a date, or text that cannot be written as UTF-8 (a folder's name)."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            _check_plain(below, source, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        for below in value:
            _check_plain(below, source, key)
    elif isinstance(value, str | Path):
        try:
            str(value).encode()
        except UnicodeEncodeError as error:
            fault = f"'{key}' = {str(value)!r}: is not text in UTF-8"
            raise UsageError(f"{source}: {fault}", "rename what it names") from error
    elif not isinstance(value, int | float | None):
        raise UsageError(f"{source}: '{key}' = {value}: no key takes a date or a time", "put text in quotation marks")


_SHAPES = {
    "model_type": "should be a table",
    "tuple_type": "should be a list, in square brackets",
    "too_short": "should hold more values",
}


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    key, value = ".".join(str(part) for part in fault["loc"]), fault["input"]
    if fault["type"] == "extra_forbidden":
        near = _nearest(fault["loc"], model)
        return f"unknown key '{key}'" + (f", did you mean {' or '.join(map(repr, near))}?" if near else "")
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    said = _SHAPES.get(fault["type"], fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    shown = "" if isinstance(value, Mapping) else f" = {value!r}"  # a table is too long to repeat
    return f"'{key}'{shown}{' ' if said.startswith('should') else ': '}{said}" if key else said


def _nearest(loc: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """The key that was meant: the nearest one of the same table, or else those of that very name in others."""
    keys, wanted = _known_keys(model), str(loc[-1])
    table = "".join(f"{part}." for part in loc[:-1])
    beside = [name for place, _, name in (key.rpartition(".") for key in keys) if place == table.removesuffix(".")]
    near = difflib.get_close_matches(wanted, beside, n=1)
    return [table + name for name in near] or [key for key in keys if key.rpartition(".")[2] == wanted]


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key in full: ["seed", "data", "data.train"]."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
    return keys
