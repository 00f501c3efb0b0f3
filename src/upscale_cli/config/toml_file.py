"""TOML -> a checked pydantic model: unknown keys refused with the nearest name, all faults in one report."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from upscale_cli.errors import UsageError


class Settings(BaseModel):
    """A table of settings: frozen, and every key must be known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables.  Raises UsageError naming the file and the line where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", "name an existing TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not valid TOML: {error}", "mend the line it names") from error


def parse(model: type[M], tables: Mapping[str, Any], source: str) -> M:
    """`tables` as a `model`.  Raises UsageError with every fault at once, each with its key and value."""
    try:
        return model.model_validate(tables)
    except ValidationError as error:
        faults = "; ".join(_sentence(fault, model) for fault in error.errors(include_url=False))
        raise UsageError(f"{source}: {faults}", "mend these keys") from error


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _known_keys(model), n=1)
        return f"unknown key '{key}'" + (f", did you mean '{near[0]}'?" if near else "")
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    said = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], Mapping):  # of a table as a whole, whose keys the sentence names itself
        return f"'{key}': {said}" if key else said
    return f"'{key}' = {fault['input']!r}: {said}"


def _known_keys(model: type[BaseModel]) -> list[str]:
    keys = list(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation)
    return keys
