"""A recipe's folders -> pictures decoded once and kept in memory, in pairs where both resolutions are given.

Photographs that have no partners by intention are `unpaired.py`'s.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.files import read_picture
from upscale_cli.imaging.formats import PICTURE_SUFFIXES
from upscale_cli.training.settings import DataSettings

T = TypeVar("T")
Folder = tuple[str, Path]
"""A key of the recipe and the folder that it names."""
Pixels = NDArray[np.uint8]
Message = Callable[[str], None]

MARGIN = 8
"""Low-resolution pixels that a patch is degraded with and then cropped by at random: the JPEG grid, which starts at the
patch's corner, falls anywhere, and blur and noise have no border."""
UNREADABLE = 0.05
"""Share of a folder that may be unreadable: more is no accident."""
_NAMED = 3
"""How many pictures a message names."""


class Pair(NamedTuple):
    """hr (sH, sW, 3) uint8 RGB, and lr (H, W, 3) of it; None where lr is to be made by degradation."""

    hr: Pixels
    lr: Pixels | None = None


class Pictures(NamedTuple):
    """Decoded pictures, in the order of their file names: to train on, to validate on, and low-resolution photographs
    (H, W, 3) uint8 RGB without partners."""

    train: Sequence[Pair]
    validation: Sequence[Pair] = ()
    source: Sequence[Pixels] = ()


def load_pictures(data: DataSettings, scale: int, patch: int, message: Message) -> Pictures:
    """Every picture of the recipe's folders; those of high resolution have their sides cut to multiples of `scale`.

    patch: low-resolution pixels a side.  message: is told what there is, and which pictures were left out because they
    cannot be read.
    Raises UsageError and PictureError as `load_pairs` and `load_photographs` do.
    """
    train, validation = load_pairs(data, scale, patch, message)
    source = [] if data.source is None else load_photographs(("data.source", data.source), patch, message)
    pictures = Pictures([pair for _, pair in train], validation, [pixels for _, pixels in source])
    message(summary(pictures))
    return pictures


def load_pairs(
    data: DataSettings, scale: int, patch: int, message: Message
) -> tuple[list[tuple[Path, Pair]], list[Pair]]:
    """What is trained on, each with its original's file, and what is validated on.  Arguments as of `load_pictures`.

    Raises UsageError where there is none to train on, a picture is smaller than a patch needs, a partner is missing or
    is not of its original's size, or a held-out name is not there; PictureError where more than UNREADABLE of a folder
    cannot be read.
    """
    smallest = patch if data.lr is not None else patch + MARGIN
    pairs = _load_pairs(("data.train", data.train), ("data.lr", data.lr), scale, smallest, message)
    strangers = sorted(set(data.holdout) - {path.stem for path in files_of("data.train", data.train)})
    if strangers:
        raise UsageError(
            f"data.holdout: {', '.join(strangers)} not in {data.train}",
            "name file stems of that folder, or set it to []",
        )
    train = [(path, pair) for path, pair in pairs if path.stem not in data.holdout]
    if not train:
        raise UsageError(f"data.train = {data.train}: no pictures there to train on", "name a folder of sharp pictures")
    validation = [pair for path, pair in pairs if path.stem in data.holdout]
    if data.validation is not None:
        folders = ("data.validation", data.validation), ("data.validation_lr", data.validation_lr)
        validation += [pair for _, pair in _load_pairs(*folders, scale, patch, message)]
    return train, validation


def load_photographs(named: Folder, patch: int, message: Message) -> list[tuple[Path, Pixels]]:
    """Low-resolution photographs that have no partners, of `patch` pixels a side at least.  Raises as `load_pairs`."""
    pictures = _read_all(named, files_of(*named), _read_rgb8, message)
    _check_sides(named, pictures, patch)
    return pictures


def _load_pairs(
    high: Folder, low: tuple[str, Path | None], scale: int, smallest: int, message: Message
) -> list[tuple[Path, Pair]]:
    """smallest: low-resolution pixels a side."""
    files = files_of(*high)
    partners = {} if low[1] is None else _partners(files, high, (low[0], low[1]))

    def read(path: Path) -> Pair:
        return Pair(_read_rgb8(path, scale), _read_rgb8(partners[path.stem]) if partners else None)

    pairs = _read_all(high, files, read, message)
    _check_sides(high, ((path, pair.hr) for path, pair in pairs), smallest * scale)
    unlike = [
        f"{partners[path.stem].name} is {_size(lr)}, {path.name} needs {hr.shape[1] // scale}x{hr.shape[0] // scale}"
        for path, (hr, lr) in pairs
        if lr is not None and (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]
    ]
    if unlike:
        raise UsageError(
            f"{low[0]} = {low[1]}: not of their originals' size over {scale}: {listed(unlike)}",
            "a low-resolution picture's sides are its original's divided by the scale, rounded down",
        )
    return pairs


def files_of(key: str, folder: Path) -> list[Path]:
    """The folder's own pictures by name.  Raises UsageError for a folder that has none or cannot be read."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{key} = {folder}: {error.strerror}", "name a folder that can be read") from error
    files = [path for path in found if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")]
    if not files:
        raise UsageError(f"{key} = {folder}: no pictures there", "what lies in its folders does not count")
    return files


def _partners(files: Sequence[Path], high: Folder, low: Folder) -> dict[str, Path]:
    """The low-resolution picture of each stem.  Raises UsageError where the two folders hold other names."""
    given = files_of(*low)
    for (key, folder), names in ((high, files), (low, given)):
        twice = [stem for stem, count in Counter(path.stem for path in names).items() if count > 1]
        if twice:
            raise UsageError(f"{key} = {folder}: several pictures are called {listed(twice)}", "keep one of each")
    partners = {path.stem: path for path in given}
    stems = {path.stem for path in files}
    for (key, folder), alone in ((low, stems - partners.keys()), (high, partners.keys() - stems)):
        if alone:
            raise UsageError(
                f"{key} = {folder}: no partner for {listed(sorted(alone))}",
                f"{high[0]} and {low[0]} must hold the same names, suffixes apart",
            )
    return partners


def _read_all(
    named: Folder, files: Sequence[Path], read: Callable[[Path], T], message: Message
) -> list[tuple[Path, T]]:
    """What `read` makes of each file that can be read, by as many threads as there are cores."""

    def attempt(path: Path) -> T | PictureError:
        try:
            return read(path)
        except PictureError as error:
            return error

    with ThreadPoolExecutor(thread_name_prefix="read") as pool:
        results = list(zip(files, pool.map(attempt, files), strict=True))
    faults = [result.message for _, result in results if isinstance(result, PictureError)]
    said = f"{named[0]} = {named[1]}: {len(faults)} of {len(files)} pictures cannot be read"
    if len(faults) > UNREADABLE * len(files):
        raise PictureError(f"{said}: {listed(faults)}", f"take them out; no more than {UNREADABLE:.0%} may be left out")
    if faults:
        message(f"{said} and are left out: {listed(faults)}")
    return [(path, result) for path, result in results if not isinstance(result, PictureError)]


def _read_rgb8(path: Path, multiple: int = 1) -> Pixels:
    """(H, W, 3) uint8, the sides cut to multiples of `multiple`; grey in all three channels, no transparency."""
    pixels = read_picture(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    height, width = (side - side % multiple for side in pixels.shape[:2])
    return np.ascontiguousarray(np.broadcast_to(pixels[:height, :width], (height, width, 3)), dtype=np.uint8)


def _check_sides(named: Folder, pictures: Iterable[tuple[Path, Pixels]], smallest: int) -> None:
    small = [f"{path.name} ({_size(pixels)})" for path, pixels in pictures if min(pixels.shape[:2]) < smallest]
    if small:
        raise UsageError(
            f"{named[0]} = {named[1]}: smaller than the {smallest} pixels a side that a patch needs: {listed(small)}",
            "take them out, or train with a smaller patch",
        )


def summary(pictures: Pictures) -> str:
    """What there is, in a line."""
    pixels = sum(pair.hr.size for pair in pictures.train) / 3e6
    every = [side for pair in (*pictures.train, *pictures.validation) for side in pair if side is not None]
    memory = sum(side.nbytes for side in (*every, *pictures.source)) / 1e6
    source = f", {len(pictures.source)} without partners" if pictures.source else ""
    return (
        f"pictures: {len(pictures.train)} to train on ({pixels:.1f} megapixels), "
        f"{len(pictures.validation) or 'none'} to validate on{source}; {memory:.0f} MB in memory"
    )


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
