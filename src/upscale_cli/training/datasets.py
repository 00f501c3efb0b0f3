"""Pictures decoded once and kept in memory, and batches drawn from them.

A batch depends on nothing but (seed, step): each of its samples has a random generator of its own, so that a resumed
run draws exactly what the unbroken one would have drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upscale_cli.errors import UsageError
from upscale_cli.imaging.files import SUFFIXES, read_picture
from upscale_cli.imaging.tensors import to_tensor

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


def load_pictures(folder: Path, scale: int, smallest: int) -> dict[str, Pixels]:
    """Every picture of `folder` by its stem, uint8 RGB, sides cut to multiples of `scale`.

    Raises UsageError where there is none, or one is smaller than `smallest` pixels on a side.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not files:
        raise UsageError(f"data.train = {folder}: no pictures there", "name a folder of high-resolution pictures")
    pictures = {path.stem: _read_rgb8(path, scale) for path in files}
    for stem, pixels in pictures.items():
        if min(pixels.shape[:2]) < smallest:
            raise UsageError(
                f"{folder / stem}: {pixels.shape[1]}x{pixels.shape[0]} is smaller than a patch of {smallest}",
                "take it out or train with a smaller patch",
            )
    return pictures


def draw_batch(pictures: Sequence[Pixels], seed: int, step: int, size: int, patch: int, scale: int, degrade: Degrade) -> Batch:
    """The batch of `step`: crops, flips and quarter turns of `pictures`, degraded; the same for the same (seed, step)."""
    pairs = [_draw_pair(pictures, np.random.default_rng((seed, step, i)), patch, scale, degrade) for i in range(size)]
    return Batch(*(torch.cat([to_tensor(pair[side]) for pair in pairs]) for side in (0, 1)))


def _draw_pair(
    pictures: Sequence[Pixels], rng: np.random.Generator, patch: int, scale: int, degrade: Degrade
) -> tuple[Pixels, Pixels]:
    picture = pictures[rng.integers(len(pictures))]
    side = (patch + MARGIN) * scale
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
    hr = np.rot90(picture[top : top + side, left : left + side], rng.integers(4))
    hr = np.ascontiguousarray(hr[:, ::-1] if rng.random() < 0.5 else hr)
    lr = degrade(hr, rng)
    y, x = rng.integers(MARGIN + 1, size=2)
    return lr[y : y + patch, x : x + patch], hr[scale * y : scale * (y + patch), scale * x : scale * (x + patch)]


def _read_rgb8(path: Path, scale: int) -> Pixels:
    pixels = read_picture(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    h, w = pixels.shape[:2]
    return np.ascontiguousarray(np.broadcast_to(pixels[: h - h % scale, : w - w % scale], (h - h % scale, w - w % scale, 3)))
