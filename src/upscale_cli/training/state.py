"""A run's state on disk: atomic checkpoints, the newest two and the best kept, a rotten one skipped aloud.

A slim state is one in parts of SLIM_BYTES at most, to be carried to another machine; put into a run's folder it is gone
on from like any other.
"""

import contextlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from upscale_cli.errors import PictureError, ResourceError, TrainingStateError, UsageError
from upscale_cli.imaging.atomic import naming_failures, whole_file

AFTER_MENDING = "mend that, then go on with --resume"
"""What to do where something could not be written."""
KEPT = 2
SLIM_BYTES = 16 * 1024**2
_NAME = re.compile(r"step-(\d{8,})\.pt")
_PART = re.compile(r"slim-(\d{8,})\.(\d+)-of-(\d+)\.part")


class Best(NamedTuple):
    """The best validation of a run so far: which step's, and its first figure."""

    step: int
    name: str
    value: float


class Saved(NamedTuple):
    """A state that was read: how many steps were done, the best one of them, and what the learner had."""

    step: int
    best: Best | None
    state: Mapping[str, Any]
    slim: bool = False


def save_state(folder: Path, step: int, state: Mapping[str, Any], best: Best | None = None) -> Path:
    """Writes step-<step>.pt whole or not at all, then removes all but it, the KEPT - 1 before it and the best one's.

    Raises ResourceError where the disk is full; what was there before stays.
    """
    target = folder / f"step-{step:08d}.pt"
    write_whole(target, _packed(step, state, best))
    # Nothing later than this one can be read, or the run would have gone on from there.
    older = [path for path in saved_states(folder) if step_of(path) < step]
    dear = {target, *older[-(KEPT - 1) :]} | {path for path in older if best and step_of(path) == best.step}
    for path in set(saved_states(folder)) - dear:
        path.unlink(missing_ok=True)
    return target


def save_slim_state(folder: Path, step: int, state: Mapping[str, Any], best: Best | None = None) -> list[Path]:
    """Writes slim-<step>.<k>-of-<n>.part into `folder`, which is made, and removes parts of other steps there.

    Raises ResourceError where that cannot be done.
    """
    content = _packed(step, state, best)
    cuts = range(0, len(content), SLIM_BYTES)
    with naming_faults(folder, len(content)):
        folder.mkdir(parents=True, exist_ok=True)
    parts = [folder / f"slim-{step:08d}.{k}-of-{len(cuts)}.part" for k in range(1, len(cuts) + 1)]
    for path, cut in zip(parts, cuts, strict=True):
        write_whole(path, content[cut : cut + SLIM_BYTES])
    for path in folder.glob("slim-*.part"):
        if _PART.fullmatch(path.name) and path not in parts:
            path.unlink(missing_ok=True)
    return parts


def save_pictures(folder: Path, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
    """Writes each, (H, W, 3) RGB, as <name>.png into `folder`, which is made.  Raises ResourceError as `save_state`."""
    with naming_faults(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in pictures.items():
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, "png")
        write_whole(folder / f"{name}.png", png.getvalue())


def saved_states(folder: Path) -> list[Path]:
    """The run's checkpoints, oldest first."""
    found = (path for path in folder.glob("step-*.pt") if _NAME.fullmatch(path.name) and path.is_file())
    return sorted(found, key=step_of)


def check_saved(folder: Path) -> None:
    """Raises TrainingStateError where there is nothing to resume."""
    if not saved_states(folder) and not _slim_states(folder):
        raise TrainingStateError(f"{folder}: nothing to resume, there is no checkpoint", "start without --resume")


def check_no_slim_state(folder: Path) -> None:
    """Raises UsageError where a slim state lies in `folder`: a new run's would take its place."""
    if _slim_states(folder):
        raise UsageError(f"{folder}: holds a run's slim state already", "choose another folder with --slim-state")


def load_newest(
    folder: Path, warn: Callable[[str], None], take: Callable[[Mapping[str, Any]], None] = lambda _: None
) -> Saved:
    """The newest state that can be read, slim ones too; each rotten one is named through `warn` and passed over.

    take: puts it to use; what it raises of a state that lacks something makes that a rotten one.
    Raises TrainingStateError where none is left, and that of `take`.
    """
    check_saved(folder)
    # Of a whole and a slim state of the same step the whole one comes first.
    found = [*_slim_states(folder), *(([path], step_of(path)) for path in saved_states(folder))]
    for earlier, (files, step) in reversed(list(enumerate(sorted(found, key=lambda one: one[1])))):
        try:
            saved = _load(files, step)
            take(saved.state)
            return saved
        except (TrainingStateError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a rotten file can fail in any way inside the reader
            then = ", falling back to the one before" if earlier else ""
            warn(f"{files[0]}: cannot be read ({_reason(error)}){then}")
    raise TrainingStateError(f"{folder}: none of its {len(found)} checkpoints can be read", "start in a new folder")


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
        raise ResourceError(error.message, AFTER_MENDING) from error


def _packed(step: int, state: Mapping[str, Any], best: Best | None) -> bytes:
    buffer = io.BytesIO()
    torch.save({"step": step, "best": None if best is None else list(best), **state}, buffer)
    return buffer.getvalue()


def _slim_states(folder: Path) -> list[tuple[list[Path], int]]:
    """The slim states of `folder`, each with the parts that are there in their order."""
    parts: dict[tuple[int, int], list[tuple[int, Path]]] = {}
    for path in folder.glob("slim-*.part"):
        if (match := _PART.fullmatch(path.name)) and path.is_file():
            step, number, count = map(int, match.groups())
            parts.setdefault((step, count), []).append((number, path))
    return [([path for _, path in sorted(found)], step) for (step, _), found in parts.items()]


def _load(files: list[Path], step: int) -> Saved:
    part = _PART.fullmatch(files[0].name)
    if part is not None and len(files) != int(part[3]):
        raise ValueError(f"{len(files)} of its {part[3]} parts are there")
    content = io.BytesIO(b"".join(path.read_bytes() for path in files))
    with zipfile.ZipFile(content) as archive:  # torch does not look at the checksums that it has written
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} is damaged")
    content.seek(0)
    state = torch.load(content, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.get("step") != step:
        raise ValueError("it is not the state of that step")
    best = state.get("best")
    return Saved(step, Best(*best) if best else None, state, part is not None)


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())[:120] or type(error).__name__
    return f"{said} is missing" if isinstance(error, KeyError) else said


def step_of(path: Path) -> int:
    """How many steps the state of that name holds."""
    return int(path.stem.removeprefix("step-"))
