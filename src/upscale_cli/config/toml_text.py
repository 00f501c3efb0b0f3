"""Tables as TOML text: bare, or with all that a model says of its keys in comments."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, JsonValue

SHOWN: dict[str, JsonValue] = {"shown": True}
"""The `json_schema_extra` of a key that may be left out, and yet is not commented out in what `annotated` prints."""
_WIDTH = 100
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "table",
}
_LIMITS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def to_toml(tables: Mapping[str, Any]) -> str:
    """Text, numbers, truths, lists of them, and tables of them, as TOML; None is left out."""
    return "\n".join(_lines(tables, "")).strip() + "\n"


def annotated(model: type[BaseModel]) -> str:
    """Every key of `model` and of its tables as TOML: its meaning above it, its default, what it may be behind it.

    A key without a default has an example; one that may be left out altogether is commented out, unless its schema says
    that the defaults of the others need it (SHOWN).
    """
    schema = model.model_json_schema()
    return "\n".join(_annotated(schema, schema.get("$defs", {}), "", {})).strip() + "\n"


def _lines(tables: Mapping[str, Any], heading: str) -> list[str]:
    plain = [f"{key} = {_literal(v)}" for key, v in tables.items() if v is not None and not isinstance(v, Mapping)]
    lines = [f"\n[{heading}]", *plain] if heading else plain
    for key, value in tables.items():
        if isinstance(value, Mapping):
            lines += _lines(value, _below(heading, key))
    return lines


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which JSON may hold, and TOML may not


def _annotated(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], heading: str, defaults: Mapping[str, Any]
) -> list[str]:
    """The lines of a table that `schema` describes.  defaults: in place of its own."""
    lines = ["", "", *_comment(schema), f"[{heading}]"] if heading else []
    below = {key: about for key, about in schema["properties"].items() if "$ref" in about}
    for key, about in schema["properties"].items():
        if key not in below:
            lines += ["", *_comment(about), _assignment(key, {**about, **_only(defaults, key)})]
    for key, about in below.items():
        table = definitions[about["$ref"].rpartition("/")[2]]
        lines += _annotated(table, definitions, _below(heading, key), about.get("default", {}))
    return lines


def _below(heading: str, key: str) -> str:
    return f"{heading}.{key}" if heading else key


def _only(defaults: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {"default": defaults[key]} if key in defaults else {}


def _comment(about: Mapping[str, Any]) -> list[str]:
    paragraphs = about.get("description", "").split("\n\n")
    return [f"# {line}" for text in paragraphs for line in textwrap.wrap(" ".join(text.split()), _WIDTH)]


def _assignment(key: str, about: Mapping[str, Any]) -> str:
    wanted = next((kind for kind in about.get("anyOf", ()) if kind.get("type") != "null"), about)
    kind = f"  # {_kind(wanted)}"
    if "const" in about:
        return f"{key} = {_literal(about['const'])}"
    if about.get("default") is not None:
        return f"{key} = {_literal(about['default'])}{kind}"
    example = f" {_literal(about['examples'][0])}" if "examples" in about else ""
    off = "# " if "default" in about and not about.keys() & SHOWN.keys() else ""
    return f"{off}{key} ={example}{kind}{'' if 'default' in about else '; required'}"


def _kind(about: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if "enum" in about:
        return f"one of {', '.join(map(_literal, about['enum']))}"
    if "prefixItems" in about:
        return f"{len(about['prefixItems'])} values, each a {_kind(about['prefixItems'][0])}"
    if about.get("type") == "array":
        return f"a list, each {_kind(about['items'])}"
    if "minimum" in about and "maximum" in about:
        limits = f"{about['minimum']} to {about['maximum']}"
    else:
        limits = " and ".join(f"{words} {about[name]}" for name, words in _LIMITS.items() if name in about)
    return f"{_KINDS[about['type']]} {limits}".rstrip()
