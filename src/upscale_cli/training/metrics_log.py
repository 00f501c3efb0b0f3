"""metrics.jsonl: one line per step, cut back to where a resumed run starts."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upscale_cli.training.state import naming_faults, write_whole
from upscale_cli.training.watch import Progress


class MetricsLog:
    """Appends steps to a JSONL file (an `Observer`); lines of steps after `after` (lost by a kill) are dropped first.

    Raises ResourceError where it cannot be read or written, here and in `write`.
    """

    def __init__(self, path: Path, after: int) -> None:
        kept = [line for line in _lines(path) if 0 < _step_of(line) <= after]
        write_whole(path, "".join(line + "\n" for line in kept).encode())
        self._path = path

    def write(self, progress: Progress) -> None:
        """Adds one step."""
        record = {"step": progress.step, "lr": progress.lr, "seconds": round(progress.seconds, 4), **progress.losses}
        validated = {} if progress.validation is None else {"validation": _finite(progress.validation)}
        line = json.dumps(_finite(record) | validated, allow_nan=False) + "\n"
        with naming_faults(self._path, len(line)), self._path.open("a", encoding="utf-8") as file:
            file.write(line)

    def close(self) -> None:
        """Each step is in the file already."""


def _finite(figures: Mapping[str, float]) -> dict[str, Any]:
    """JSON knows neither infinity nor nan: these become null."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def _lines(path: Path) -> list[str]:
    with naming_faults(path, 0):
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a half-written last line
        return 0
