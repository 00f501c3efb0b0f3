"""A recipe's tables: read, overridden key by key and its paths made absolute; one compared with another."""

import contextlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from upscale_cli.errors import UsageError

Tables = dict[str, Any]


def override_tables(overrides: Iterable[str]) -> Tables:
    """["optimiser.lr=1e-4", "name=mine"] -> tables; a value is TOML, or else the text as it stands.

    Raises UsageError for what is not KEY=VALUE.
    """
    tables: Tables = {}
    for override in overrides:
        dotted, equals, text = override.partition("=")
        keys = dotted.strip().split(".")
        # No value is most often a shell's variable that is not set; "" is a value.
        if not equals or not all(keys) or not text.strip():
            raise UsageError(f"--set {override}: is not KEY=VALUE", "for example --set optimiser.lr=1e-4")
        value: Any = _value(text.strip())
        for key in reversed(keys):
            value = {key: value}
        tables = merged(tables, value)
    return tables


def merged(tables: Mapping[str, Any], changes: Mapping[str, Any]) -> Tables:
    """`tables` with every key of `changes` put over it, table by table."""
    result = dict(tables)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


MODEL_KEYS = ("start", "teacher")
"""Keys of every recipe that name a model, or the file of one."""


def rooted(tables: Mapping[str, Any], model: type[BaseModel], folder: Path) -> Tables:
    """`tables` with the paths among the keys of `model` made absolute, relative ones from `folder`.

    A key that names a model, or its file, is such a path where it looks like one and that file is there.
    """
    result = dict(tables)
    for key, value in tables.items():
        if key in MODEL_KEYS and isinstance(value, str):
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                file = (folder / Path(value).expanduser()).resolve()
                result[key] = str(file) if file.suffix and file.is_file() else value
            continue
        kind = model.model_fields[key].annotation if key in model.model_fields else None
        if isinstance(value, str) and _is_path(kind):
            with contextlib.suppress(
                OSError, ValueError, RuntimeError
            ):  # no path at all: the model's own check says so
                result[key] = str((folder / Path(value).expanduser()).resolve())
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, Mapping):
            result[key] = rooted(value, kind, folder)
    return result


def _is_path(kind: Any) -> bool:
    """Path, an annotated one, or either of them or nothing."""
    return kind is Path or any(_is_path(part) for part in get_args(kind))


def changes(before: Mapping[str, Any], settings: BaseModel) -> dict[str, str]:
    """What `settings` have otherwise than the recipe `before`: {"optimiser.lr": "optimiser.lr 0.0006 -> 0.0003"}.

    A key that `before` does not hold, because it is older than the key, was at its default there.
    """
    old, new = _flat(before), _flat(settings.model_dump(mode="json", exclude_none=True))
    given = _flat(settings.model_dump(mode="json", exclude_defaults=True, exclude_none=True))
    return {
        key: f"{key} {_said(old, key)} -> {_said(new, key)}" for key in {**old, **given} if old.get(key) != new.get(key)
    }


def says(tables: Mapping[str, Any], key: str) -> bool:
    """Whether a recipe's tables hold a value for "table.key"."""
    return _flat(tables).get(key) is not None


def _flat(tables: Mapping[str, Any], prefix: str = "") -> Tables:
    """{"t": {"x": 1}} -> {"t.x": 1}"""
    flat: Tables = {}
    for key, value in tables.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _said(flat: Tables, key: str) -> str:
    return str(flat[key]) if key in flat else "nothing"


def _value(text: str) -> Any:
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # What stands in further lines would be keys of their own, and lost.
    return tables["value"] if len(tables) == 1 else text
