"""The manifest of a degraded data set: one JSON line for each picture, with all that was drawn for it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upscale_cli.errors import UsageError
from upscale_cli.imaging.atomic import whole_file

MANIFEST = "manifest.jsonl"
Record = dict[str, Any]
_KEYS = {"source", "output", "scale"}
"""What every record has."""


def read_manifest(folder: Path) -> dict[str, Record]:
    """The records of `folder`, by their output's name; {} where there is no manifest.

    Raises UsageError for a file of this name that is something else: it would be lost.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    records = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}", "move it away") from error
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            known = isinstance(record, dict) and record.keys() >= _KEYS and isinstance(record["output"], str)
        except (ValueError, RecursionError):
            known = False
        if not known:
            raise UsageError(f"{path}: line {number} is no record of a degraded picture", "move it away")
        records[record["output"]] = record
    return records


def write_manifest(folder: Path, records: Mapping[str, Record]) -> None:
    """One line for each record, in the order of the outputs' names; whole or not at all.

    Raises PictureError or ResourceError where it cannot be written.
    """
    lines = "".join(json.dumps(records[name]) + "\n" for name in sorted(records))
    with whole_file(folder / MANIFEST, len(lines)) as stream:
        stream.write(lines.encode())
