"""What JPEG quality a picture has been through, whatever format it is in now.

JPEG makes each coefficient of an 8 x 8 block a multiple of its frequency's step.  Decoding rounds pixels, so what is
found lies within about half a level of a multiple: a comb.  The quality whose table explains the coefficients best is
taken, by the ratio of likelihoods to that of no comb at all (after Neelamani, de Queiroz, Fan, Dash and Baraniuk, "JPEG
compression history estimation for color images", IEEE Transactions on Image Processing 2006).
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from upscale_cli.imaging.dct import SIDE, dct
from upscale_cli.imaging.jpeg_tables import TABLES, Table, nearest_quality, table_of
from upscale_cli.imaging.picture import Samples

_MOST_WINDOWS = 1024
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""JFIF's Y of RGB."""
_ROUNDING = 0.4
"""Deviation in levels that rounding, and chroma of half the size, leave in a coefficient."""
_NOT_ZERO = 3 * _ROUNDING
"""A coefficient below this may be a zero of any table, or of none: it says nothing."""
_OUTLIER = 0.02
"""Share of coefficients that lie anywhere: something was drawn over the picture, or a value was cut off."""
_EVIDENCE = 20.0
"""Logarithm of the ratio of likelihoods from which on there is a trace: there are ten thousand tables and grids to be
mistaken for one, e^9."""
_EVIDENCE_OF_STEP = 15.0
_APART = 5
"""Two compressions of nearly the same quality cannot be told from one."""
_STEPS = np.arange(1, 256)

Coefficients = NDArray[np.float32]


def estimate_quality(pixels: Samples, table: Table | None = None) -> int | None:
    """The lowest JPEG quality, 1 to 100, that the picture (H, W, 1 or 3) has been through; None without a trace.

    table: that of the file it comes from, if that is a JPEG: then never None, and lower than the file's own quality
    where an earlier compression shows through.  Enlarging, turning by less than 90 degrees and drawing all over efface
    the traces.
    """
    blocks = _blocks_on_grid(pixels)
    if table is None:
        found = _single(blocks)
        if found is None:
            return None
        quality, blocks, standard = found
        return quality if not standard else _earlier(blocks, table_of(quality), quality) or quality
    quality = nearest_quality(table)
    return _earlier(blocks, table, quality) or quality


def _single(coefficients: Coefficients) -> tuple[int, Coefficients, bool] | None:
    """The quality, the blocks (N, 8, 8) lying as its table does, and whether it is one of libjpeg's tables."""
    best, evidence = None, _EVIDENCE
    for turned in (coefficients, coefficients.swapaxes(1, 2)):  # a picture may have been turned since
        likely = _likelihood(turned, np.full((SIDE, SIDE), _ROUNDING))
        scores = _of_tables(likely)
        if scores.max() > evidence:
            best, evidence = (1 + int(scores.argmax()), turned, True), float(scores.max())
        steps = np.where(likely.max(axis=2) > _EVIDENCE_OF_STEP, likely.argmax(axis=2) + 1, 0)
        # Each frequency has its own choice of step to pay for.
        score = float(np.maximum(likely.max(axis=2) - _EVIDENCE_OF_STEP, 0).sum())
        if score > evidence:
            best, evidence = (nearest_quality(steps), turned, False), score
    return best


def _earlier(coefficients: Coefficients, table: Table, quality: int) -> int | None:
    """The quality below `quality` that the blocks had been through before `table` was applied; None without a trace."""
    likely = _likelihood(coefficients, np.sqrt(_ROUNDING**2 + table**2 / 12))
    down, across = np.indices((SIDE, SIDE))
    alone = max(float(likely[down, across, np.minimum(table, 255) - 1].sum()), 0.0)
    scores = _of_tables(likely)[: max(quality - _APART, 0)] - alone
    return 1 + int(scores.argmax()) if len(scores) and scores.max() > _EVIDENCE else None


def _likelihood(coefficients: Coefficients, deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the ratio of likelihoods, comb to no comb, of each frequency and step: (N, 8, 8) -> (8, 8, 255).

    deviation: from the multiples, (8, 8).  Of comb and outlier the likelier counts, which is nearly their sum.
    """
    telling = np.abs(coefficients) > _NOT_ZERO
    telling[:, 0, 0] = False  # the mean, which is anything
    _, down, across = np.nonzero(telling)
    frequency, values = down * SIDE + across, coefficients[telling]
    wide = deviation[down, across].astype(np.float32)
    peak = np.log((1 - _OUTLIER) / (np.sqrt(2 * np.pi) * wide))
    sums = np.zeros((SIDE * SIDE, len(_STEPS)))
    for step in _STEPS[1:]:  # all are multiples of 1
        off = (values - step * np.rint(values / step)) / wide
        gain = np.maximum(peak + np.log(step, dtype=np.float32) - off * off / 2, np.log(_OUTLIER))
        sums[:, step - 1] = np.bincount(frequency, gain, SIDE * SIDE)
    return sums.reshape(SIDE, SIDE, -1)


def _of_tables(likely: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum over the frequencies for quality 1 to 100: (8, 8, 255) -> (100,)."""
    down, across = np.indices((SIDE, SIDE))
    scores: NDArray[np.float64] = likely[down, across, TABLES - 1].sum(axis=(1, 2))
    return scores


def _blocks_on_grid(pixels: Samples) -> Coefficients:
    """Luminance coefficients (N, 8, 8) of blocks spread over the picture, on the grid where most of them are zero."""
    luminance, whole = _windows(pixels)
    few = slice(None, None, max(1, len(luminance) // 256))
    zeros = {}
    for down, across in product(range(SIDE), repeat=2):
        part = dct(luminance[few, down : down + SIDE, across : across + SIDE])
        zeros[down, across] = np.count_nonzero(np.abs(part) < 1)
    down, across = max(zeros, key=zeros.__getitem__)
    rows, columns = slice(down, down + SIDE), slice(across, across + SIDE)
    return dct(luminance[:, rows, columns][whole[:, rows, columns].all(axis=(1, 2))])


def _windows(pixels: Samples) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(N, 15, 15) luminance in levels of 255 less 128, and where no channel is cut off at black or white.

    Each window has a block of every grid.  None where the picture is smaller than 15 pixels a side.
    """
    side, white = 2 * SIDE - 1, np.iinfo(pixels.dtype).max
    if min(pixels.shape[:2]) < side:
        return np.zeros((0, side, side), np.float32), np.zeros((0, side, side), bool)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(0, 1))[::SIDE, ::SIDE]
    step = int(np.ceil(np.sqrt(windows.shape[0] * windows.shape[1] / _MOST_WINDOWS)))
    chosen = windows[::step, ::step].reshape(-1, pixels.shape[2], side, side)
    whole = np.asarray(((chosen > 0) & (chosen < white)).all(axis=1))
    levels = chosen.astype(np.float32) * np.float32(255 / white)
    weights = _LUMINANCE if pixels.shape[2] == 3 else np.ones(1, np.float32)
    return np.einsum("c,ncyx->nyx", weights, levels) - 128, whole
