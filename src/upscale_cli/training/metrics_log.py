"""metrics.jsonl: one line per step, cut back to where a resumed run starts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upscale_cli.training.loop import Progress


class MetricsLog:
    """Appends steps to a JSONL file; lines of steps after `after` (lost by a kill) are dropped first."""

    def __init__(self, path: Path, after: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in _lines(path) if 0 < _step_of(line) <= after]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self._path = path

    def write(self, progress: "Progress") -> None:
        """Adds one step."""
        record = {"step": progress.step, "lr": progress.lr, "seconds": round(progress.seconds, 4), **progress.losses}
        if progress.validation is not None:
            record["validation"] = dict(progress.validation)  # type: ignore[assignment]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a half-written last line
        return 0
