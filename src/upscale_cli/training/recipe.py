"""A recipe's tables: read, overridden key by key, its paths made absolute, written as it was run."""

import json
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
        if not equals or not all(keys):
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


def rooted(tables: Mapping[str, Any], model: type[BaseModel], folder: Path) -> Tables:
    """`tables` with the paths among the keys of `model` made absolute, relative ones from `folder`."""
    result = dict(tables)
    for key, value in tables.items():
        kind = model.model_fields[key].annotation if key in model.model_fields else None
        if isinstance(value, str) and _is_path(kind):
            result[key] = str((folder / Path(value).expanduser()).resolve())
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, Mapping):
            result[key] = rooted(value, kind, folder)
    return result


def _is_path(kind: Any) -> bool:
    """Path, an annotated one, or either of them or nothing."""
    return kind is Path or any(_is_path(part) for part in get_args(kind))


def to_toml(tables: Mapping[str, Any]) -> str:
    """Text, numbers, truths, lists of them, and tables of them, as TOML; None is left out."""
    return "\n".join(_lines(tables, "")).strip() + "\n"


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What became of the keys of `old`: ["optimiser.lr 0.0006 -> 0.0003"]."""
    found = []
    for key, value in old.items():
        other = new.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += differences(value, other, f"{prefix}{key}.")
        elif value != other:
            found.append(f"{prefix}{key} {value} -> {other}")
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _lines(tables: Mapping[str, Any], heading: str) -> list[str]:
    plain = [f"{key} = {_literal(v)}" for key, v in tables.items() if v is not None and not isinstance(v, Mapping)]
    lines = [f"\n[{heading}]", *plain] if heading else plain
    for key, value in tables.items():
        if isinstance(value, Mapping):
            lines += _lines(value, f"{heading}.{key}" if heading else key)
    return lines


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
