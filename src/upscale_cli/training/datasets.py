"""Batches drawn from pictures in memory, each sample by a random generator of its own.

A sample depends on nothing but (seed, step, its index): a resumed run draws exactly what the unbroken one would have
drawn, and several processes draw together what one process draws.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.training.pictures import MARGIN, Pair, Pictures, Pixels
from upscale_cli.training.settings import DataSettings

T = TypeVar("T")
Degrade = Callable[[Pixels, np.random.Generator], Pixels]

MIXUP_ALPHA = 1.2
"""Mixtures are weighted by Beta(1.2, 1.2), as in SRResCGAN's released code."""


@dataclass(frozen=True)
class Batch:
    """A paired batch: lr (B, 3, p, p) and hr (B, 3, sp, sp), RGB in [0, 1].

    source: (B, 3, p, p), patches of low-resolution photographs that have no partner; None where the recipe has none.
    """

    lr: Tensor
    hr: Tensor
    source: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on `device`."""
        source = None if self.source is None else self.source.to(device, non_blocking=True)
        return Batch(self.lr.to(device, non_blocking=True), self.hr.to(device, non_blocking=True), source)


def draw_batch(
    pictures: Pictures,
    data: DataSettings,
    seed: int,
    step: int,
    samples: range,
    patch: int,
    scale: int,
    degrade: Degrade,
) -> Batch:
    """Crops, flips and quarter turns of `pictures`; low resolution by `degrade` where a picture has no partner.

    samples: the indices, within the step, of the samples to draw: range(8, 16) is the second half of a batch of 16.
    patch: low-resolution pixels a side.
    """

    def pair(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        lr, hr = _draw_pair(pictures.train, rng, patch, scale, degrade, data.plain_share)
        return to_tensor(lr), to_tensor(hr)

    lrs, hrs, sources = [], [], []
    for index in samples:
        rng = np.random.default_rng((seed, step, index))
        lr, hr = pair(rng)
        if data.mixup and rng.random() < data.mixup:
            weight, (other_lr, other_hr) = rng.beta(MIXUP_ALPHA, MIXUP_ALPHA), pair(rng)
            lr, hr = torch.lerp(other_lr, lr, weight), torch.lerp(other_hr, hr, weight)
        lrs.append(lr)
        hrs.append(hr)
        if pictures.source:
            photograph = pictures.source[int(rng.integers(len(pictures.source)))]
            top, left, orientation = _draw_place(photograph, rng, patch)
            sources.append(to_tensor(_oriented(_crop(photograph, top, left, patch), *orientation)))
    return Batch(torch.cat(lrs), torch.cat(hrs), torch.cat(sources) if sources else None)


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
    pairs: Sequence[Pair],
    rng: np.random.Generator,
    patch: int,
    scale: int,
    degrade: Degrade,
    plain_share: float,
) -> tuple[Pixels, Pixels]:
    """lr (p, p, 3) and hr (sp, sp, 3) of the same place."""
    hr, lr = pairs[int(rng.integers(len(pairs)))]
    if lr is not None:
        top, left, orientation = _draw_place(lr, rng, patch)
        high = _crop(hr, scale * top, scale * left, scale * patch)
        return _oriented(_crop(lr, top, left, patch), *orientation), _oriented(high, *orientation)
    # Models were trained on this order of draws (a test holds it to that).
    top, left, orientation = _draw_place(hr, rng, (patch + MARGIN) * scale)
    hr = _oriented(_crop(hr, top, left, (patch + MARGIN) * scale), *orientation)
    if plain_share and rng.random() < plain_share:
        hr = _two_colours(hr.shape, rng)
    lr = degrade(hr, rng)
    y, x = (int(offset) for offset in rng.integers(MARGIN + 1, size=2))
    return _crop(lr, y, x, patch), _crop(hr, scale * y, scale * x, scale * patch)


def _draw_place(picture: Pixels, rng: np.random.Generator, side: int) -> tuple[int, int, tuple[int, bool]]:
    """Top and left of a crop, and its orientation: quarter turns, and whether it is mirrored."""
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
    return top, left, (int(rng.integers(4)), bool(rng.random() < 0.5))


def _crop(picture: Pixels, top: int, left: int, side: int) -> Pixels:
    return picture[top : top + side, left : left + side]


def _oriented(picture: Pixels, turns: int, mirrored: bool) -> Pixels:
    turned = np.rot90(picture, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _two_colours(shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """Any colours, the saturated ones too that photographs seldom hold, with an edge anywhere or nowhere."""
    plain = np.empty(shape, np.uint8)
    edge = int(rng.integers(2 * shape[1]))
    plain[:, :edge] = rng.integers(256, size=3)
    plain[:, edge:] = rng.integers(256, size=3)
    return np.ascontiguousarray(np.rot90(plain, int(rng.integers(4))))
