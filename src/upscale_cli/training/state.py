"""A run's state on disk: atomic checkpoints, the newest two kept, a rotten one skipped aloud."""

import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from upscale_cli.errors import ResourceError, TrainingStateError

KEPT = 2
_NAME = re.compile(r"step-(\d{8})\.pt$")


def save_state(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Writes step-<step>.pt whole or not at all, then removes all but the newest KEPT.

    Raises ResourceError where the disk is full; what was there before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{step:08d}.pt"
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_whole(target, buffer.getvalue())
    for path in saved_states(folder)[:-KEPT]:
        path.unlink()
    return target


def write_whole(target: Path, content: bytes) -> None:
    """`content` as `target` by temp file, fsync and rename.  Raises ResourceError where it cannot be written."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        _fsync_folder(target.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ResourceError(f"{target}: cannot be written: {error.strerror}", "free space and go on with --resume") from error


def saved_states(folder: Path) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if _NAME.search(path.name))


def load_newest(folder: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """The newest checkpoint that can be read; each rotten one is named through `warn` and passed over.

    Raises TrainingStateError where none is left.
    """
    for path in reversed(saved_states(folder)):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - a rotten file can fail in any way inside the reader
            warn(f"{path.name} cannot be read ({type(error).__name__}), falling back to the one before")
        else:
            return state
    raise TrainingStateError(f"{folder}: nothing to resume", "start without --resume")


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
