"""The pictures that `upscale degrade` writes: each holds its own record, of which the manifest is made.

So the manifest is right also after a run that was killed.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upscale_cli import SOFTWARE, __version__
from upscale_cli.degradation.manifest import Record, read_manifest, write_manifest
from upscale_cli.degradation.operations import Pixels
from upscale_cli.imaging.atomic import naming_failures
from upscale_cli.imaging.files import Metadata, Picture, write_picture
from upscale_cli.services.locks import locked
from upscale_cli.services.outputs import Target
from upscale_cli.services.provenance import read_provenance
from upscale_cli.services.upscale_report import PictureReport

RECORD = "Degradation"
"""The key of a picture's text that holds its record."""
_PATIENCE_S = 60.0
"""How long another run into the same folder is waited for: it holds the lock while it reads and writes the manifest."""


@dataclass(frozen=True)
class DegradedReport(PictureReport):
    """What became of one picture.  degradation: its record, as in the manifest."""

    degradation: Record | None = None


def as_rgb8(picture: Picture) -> tuple[Picture, tuple[str, ...]]:
    """The picture in 8-bit RGB with no more than what its colours mean, and notes on what was left out."""
    notes = []
    pixels = picture.pixels
    if picture.alpha is not None:
        notes.append("transparency left out")
    if pixels.dtype == np.uint16:
        notes.append("16 bits brought down to 8")
        pixels = np.stack([((row.astype(np.uint32) + 128) // 257).astype(np.uint8) for row in pixels])
    icc = picture.metadata.icc if picture.channels == "rgb" else None
    if picture.metadata.icc is not None and icc is None:
        notes.append("colour profile of grey left out")
    rgb = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), np.uint8)
    return Picture(rgb, metadata=Metadata(icc=icc, png_colour=picture.metadata.png_colour)), tuple(notes)


def cut(pixels: Pixels, scale: int) -> Pixels:
    """(H, W, 3) less the columns at the right and the rows below that are too many for multiples of `scale`."""
    height, width = (side - side % scale for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def write_with_record(picture: Picture, path: Path, record: Record) -> tuple[str, ...]:
    """Writes a PNG, whole or not at all, into a folder that is made where there is none; returns what was left out.

    Raises PictureError, ResourceError.
    """
    with naming_failures(path.parent, 0):
        path.parent.mkdir(parents=True, exist_ok=True)
    texts = {"Software": f"{SOFTWARE} {__version__}", RECORD: json.dumps(record)}
    return write_picture(picture, path, "PNG", provenance=texts)


def record_in(path: Path) -> Record | None:
    """What was written with the picture; None where there is nothing of the kind."""
    with contextlib.suppress(ValueError):
        record = json.loads(read_provenance(path).get(RECORD, ""))
        return record if isinstance(record, dict) else None
    return None


def notes_on(settings: Record, existing: Path) -> tuple[str, ...]:
    """What to say of an existing picture where one made with `settings` is wanted."""
    found = record_in(existing)
    if found is None:
        return ("it is not of this command",)
    same = all(found.get(key) == value for key, value in settings.items())
    return () if same else ("it was made with other settings",)


def update_manifest(folder: Path, targets: Sequence[Target], reports: Sequence[PictureReport]) -> None:
    """The manifest less what is gone, and what the targets' files say of themselves.

    reports: of what was done in this run; a picture that was not keeps the source that it was made from.  Raises
    UsageError for a manifest that is something else, PictureError or ResourceError where it cannot be written.
    """
    if not folder.is_dir():  # nothing was written
        return
    with _alone_in(folder):
        earlier = read_manifest(folder)  # now, for another run may have written into the folder meanwhile
        made = {report.output for report in reports if report.status == "done"}
        records = {name: record for name, record in earlier.items() if os.path.exists(folder / name)}  # noqa: PTH110 - raises for long names
        for target in targets:
            record = record_in(target.path) if target.path is not None else None
            if target.path is not None and record is not None:
                name = target.path.relative_to(folder).as_posix()
                known = {} if str(target.path) in made else earlier.get(name, {})
                records[name] = {"source": known.get("source", target.source.name), "output": name, **record}
        if records != earlier:
            write_manifest(folder, records)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits for another run that writes the folder's manifest."""
    lock, held = folder / ".lock", False
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where none can be made, nobody is waited for
            held = stack.enter_context(locked(lock, _PATIENCE_S))
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(OSError):  # systems that remove no open file
                    lock.unlink()
