"""A run's state on disk: atomic checkpoints, the newest two kept, a rotten one skipped aloud."""

import contextlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from upscale_cli.errors import PictureError, ResourceError, TrainingStateError
from upscale_cli.imaging.atomic import naming_failures, whole_file

KEPT = 2
_NAME = re.compile(r"step-(\d{8,})\.pt")


def save_state(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Writes step-<step>.pt whole or not at all, then removes all but it and the KEPT - 1 before it.

    state: holds `step` too.  Raises ResourceError where the disk is full; what was there before stays.
    """
    target = folder / f"step-{step:08d}.pt"
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_whole(target, buffer.getvalue())
    # Nothing later than this one can be read, or the run would have gone on from there.
    older = [path for path in saved_states(folder) if _step_of(path) < step]
    for path in set(saved_states(folder)) - {target, *older[-(KEPT - 1) :]}:
        path.unlink(missing_ok=True)
    return target


def saved_states(folder: Path) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted((path for path in folder.glob("step-*.pt") if _NAME.fullmatch(path.name)), key=_step_of)


def load_newest(folder: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """The newest checkpoint that can be read; each rotten one is named through `warn` and passed over.

    Raises TrainingStateError where none is left.
    """
    found = saved_states(folder)
    for path in reversed(found):
        try:
            return _load(path)
        except Exception as error:  # noqa: BLE001 - a rotten file can fail in any way inside the reader
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            warn(f"{path}: cannot be read ({reason}), falling back to the one before")
    if found:
        raise TrainingStateError(f"{folder}: none of its {len(found)} checkpoints can be read", "start in a new folder")
    raise TrainingStateError(f"{folder}: nothing to resume, there is no checkpoint", "start without --resume")


def write_whole(target: Path, content: bytes) -> None:
    """`content` as `target`, whole or not at all.  Raises ResourceError where it cannot be written."""
    with naming_faults(target, len(content)), whole_file(target, len(content)) as stream:
        stream.write(content)


@contextlib.contextmanager
def naming_faults(target: Path, size: int) -> Iterator[None]:
    """Turns what goes wrong while `size` bytes are written to `target` into a ResourceError that says how to go on."""
    try:
        with naming_failures(target, size):
            yield
    except (PictureError, ResourceError) as error:
        raise ResourceError(error.message, "mend that, then go on with --resume") from error


def _load(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums that it has written
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.get("step") != _step_of(path):
        raise ValueError("it is not the state of that step")
    return state


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))
