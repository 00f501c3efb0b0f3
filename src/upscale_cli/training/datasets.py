"""Pictures decoded once and kept in memory, and batches drawn from them.

A batch depends on nothing but (seed, step): each of its samples has a random generator of its own, so that a resumed
run draws exactly what the unbroken one would have drawn.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upscale_cli.errors import UsageError
from upscale_cli.imaging.files import SUFFIXES, read_picture
from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.training.settings import DataSettings

T = TypeVar("T")
Pixels = NDArray[np.uint8]
Degrade = Callable[[Pixels, np.random.Generator], Pixels]

MARGIN = 8
"""Low-resolution pixels that a patch is degraded with and then cropped by at random: the JPEG grid, which starts at the
patch's corner, falls anywhere, and blur and noise have no border."""


@dataclass(frozen=True)
class Batch:
    """A paired batch: lr (B, 3, p, p) and hr (B, 3, sp, sp), RGB in [0, 1]."""

    lr: Tensor
    hr: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on `device`."""
        return Batch(self.lr.to(device, non_blocking=True), self.hr.to(device, non_blocking=True))


class Pictures(NamedTuple):
    """Decoded pictures, uint8 RGB (H, W, 3), in the order of their file names: to train on, and held out."""

    train: list[Pixels]
    holdout: list[Pixels]


def load_pictures(data: DataSettings, scale: int, patch: int) -> Pictures:
    """Every picture of `data.train`, sides cut to multiples of `scale`.

    patch: low-resolution pixels a side.  Raises UsageError where there is none to train on, one is smaller than a patch
    needs, or a held-out name is not there; PictureError for one that cannot be read.
    """
    files = _picture_files(data.train)
    strangers = sorted(set(data.holdout) - {path.stem for path in files})
    if strangers:
        raise UsageError(
            f"data.holdout: {', '.join(strangers)} not in {data.train}",
            "name file stems of that folder, or set it to []",
        )
    if all(path.stem in data.holdout for path in files):
        raise UsageError(f"data.train = {data.train}: no pictures there to train on", "name a folder of sharp pictures")
    smallest = (patch + MARGIN) * scale
    pictures = [(path.stem, _large_enough(path, _read_rgb8(path, scale), smallest)) for path in files]
    return Pictures(
        [pixels for stem, pixels in pictures if stem not in data.holdout],
        [pixels for stem, pixels in pictures if stem in data.holdout],
    )


def draw_batch(
    pictures: Sequence[Pixels],
    seed: int,
    step: int,
    size: int,
    patch: int,
    scale: int,
    degrade: Degrade,
    plain_share: float = 0.0,
) -> Batch:
    """Crops, flips and quarter turns of `pictures`, degraded; the same for the same (seed, step).

    plain_share: so many of the samples are two plain colours that meet at a straight edge instead.
    """
    generators = [np.random.default_rng((seed, step, i)) for i in range(size)]
    pairs = [_draw_pair(pictures, rng, patch, scale, degrade, plain_share) for rng in generators]
    return Batch(*(torch.cat([to_tensor(pair[side]) for pair in pairs]) for side in (0, 1)))


def drawn_ahead(draw: Callable[[int], T], first: int, last: int, workers: int) -> Generator[T, None, None]:
    """draw(first), ..., draw(last - 1), in this order, computed by `workers` threads while the caller works (0: by it).

    Close it to stop early.
    """
    if not workers:
        yield from map(draw, range(first, last))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="draw")
    drawn: deque[Future[T]] = deque()
    try:
        for step in range(first, last):
            drawn.append(pool.submit(draw, step))
            if len(drawn) > workers:
                yield drawn.popleft().result()
        while drawn:
            yield drawn.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _draw_pair(
    pictures: Sequence[Pixels],
    rng: np.random.Generator,
    patch: int,
    scale: int,
    degrade: Degrade,
    plain_share: float,
) -> tuple[Pixels, Pixels]:
    picture = pictures[int(rng.integers(len(pictures)))]
    side = (patch + MARGIN) * scale
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
    hr = np.rot90(picture[top : top + side, left : left + side], int(rng.integers(4)))
    hr = np.ascontiguousarray(hr[:, ::-1] if rng.random() < 0.5 else hr)
    if plain_share and rng.random() < plain_share:
        hr = _two_colours(hr.shape, rng)
    lr = degrade(hr, rng)
    y, x = rng.integers(MARGIN + 1, size=2)
    return lr[y : y + patch, x : x + patch], hr[scale * y : scale * (y + patch), scale * x : scale * (x + patch)]


def _two_colours(shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """Any colours, the saturated ones too that photographs seldom hold, with an edge anywhere or nowhere."""
    plain = np.empty(shape, np.uint8)
    edge = int(rng.integers(2 * shape[1]))
    plain[:, :edge] = rng.integers(256, size=3)
    plain[:, edge:] = rng.integers(256, size=3)
    return np.ascontiguousarray(np.rot90(plain, int(rng.integers(4))))


def _picture_files(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"data.train = {folder}: {error.strerror}", "name a folder that can be read") from error
    return [path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]


def _read_rgb8(path: Path, scale: int) -> Pixels:
    pixels = read_picture(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    height, width = (side - side % scale for side in pixels.shape[:2])
    return np.ascontiguousarray(np.broadcast_to(pixels[:height, :width], (height, width, 3)), dtype=np.uint8)


def _large_enough(path: Path, pixels: Pixels, smallest: int) -> Pixels:
    height, width = pixels.shape[:2]
    if min(height, width) < smallest:
        raise UsageError(
            f"{path}: {width}x{height} pixels, a patch needs {smallest} a side",
            "take the picture out, or train with a smaller patch",
        )
    return pixels
