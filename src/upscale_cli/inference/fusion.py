"""Two networks' pictures fused where it is dark: RWSR, section 3.3, Eq. (6).

y_fused = alpha y_R + beta y_S where Y_med < gamma, and y_R elsewhere: y_R is the picture of the first network (trained
with the relativistic GAN), y_S that of the second (with the standard GAN), Y_med the median luminance of y_R. Pictures
are integer samples (H, W, 1 or 3) of uint8 or uint16; what is computed of them is computed a band of rows at a time.
"""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from upscale_cli.imaging.picture import Samples

Gate = NDArray[np.uint8]
"""(H, W): 255 where a pixel is fused, 0 where it is y_R, and between the two for `local_gate`."""

LOCAL_SIGMA = 16.0
"""Standard deviation, in output pixels, of the Gaussian that makes `local_gate` follow areas and not their texture."""
LOCAL_RAMP = 0.25
"""The share of gamma, to each side of it, over which `local_gate` falls from 255 to 0."""

_WEIGHTS = (299, 587, 114)  # of red, green and blue, in thousandths: BT.601, as JPEG's YCbCr and MATLAB's have it
_BAND = 1 << 20
_COARSE = 13  # bits: the two histograms of 16-bit luminance, first of its upper bits and then of its lower, stay small


def median_luminance(samples: Samples, shown: NDArray[np.bool_] | None = None) -> float:
    """Y_med: the exact median of Y (YCbCr, full range) over all pixels of (H, W, 1 or 3), in levels of 255.

    shown: (h, w), which pixels count, each for H/h x W/w of the samples; None, or none of them, for all.  Of an even
    number of pixels, the mean of the two in the middle; grey is its own luminance.
    """
    shown = shown if shown is not None and shown.any() else None
    upper = np.cumsum(sum(np.bincount(y >> _COARSE, minlength=1 << 13) for y in _luminances(samples, shown)))
    ranks = (upper[-1] - 1) // 2, upper[-1] // 2
    bins = [int(np.searchsorted(upper, rank, side="right")) for rank in ranks]
    lower = {found: np.cumsum(_lower_bits(samples, shown, found)) for found in set(bins)}
    middle = [
        (found << _COARSE) + int(np.searchsorted(lower[found], rank - (upper[found - 1] if found else 0), side="right"))
        for rank, found in zip(ranks, bins, strict=True)
    ]
    return sum(middle) / 2 / _thousandths(samples)


def whole_gate(samples: Samples, *, dark: bool) -> Gate:
    """The paper's decision, one for all pixels of (H, W, C); it takes no memory and cannot be written to."""
    return np.broadcast_to(np.uint8(255 if dark else 0), samples.shape[:2])


def local_gate(samples: Samples, gamma: float) -> Gate:
    """Our extension of Eq. (6): each pixel is fused as far as its surroundings are dark.

    The luminance of y_R (H, W, 1 or 3) under a Gaussian (LOCAL_SIGMA, mirrored at the borders) of at most
    (1 - LOCAL_RAMP) gamma gives 255, of (1 + LOCAL_RAMP) gamma or more 0, with a smooth step between them.
    """
    height, width = samples.shape[:2]
    reach = math.ceil(3 * LOCAL_SIGMA)
    rows = np.pad(np.arange(height), reach, mode="reflect")
    step = max(2 * reach, _BAND // width)
    ramp = LOCAL_RAMP * gamma
    gate = np.empty((height, width), np.uint8)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        y = (_luminance(samples[rows[top : bottom + 2 * reach]]) / _thousandths(samples)).astype(np.float32)
        around = cv2.GaussianBlur(y, (2 * reach + 1, 2 * reach + 1), LOCAL_SIGMA, borderType=cv2.BORDER_REFLECT_101)
        share = np.clip(gamma + ramp - around[reach:-reach], 0, 2 * ramp) / max(2 * ramp, np.finfo(np.float32).tiny)
        gate[top:bottom] = np.rint(255 * share * share * (3 - 2 * share))
    return gate


def fuse(first: Samples, second: Samples, gate: Gate, alpha: float, beta: float) -> None:
    """Eq. (6) in place: `first` becomes w (alpha first + beta second) + (1 - w) first, with w = gate / 255.

    first, second: (h, w, C) of one type; gate: (h, w).  Clipped to the type's range and rounded to the nearest level.
    """
    rows = max(1, _BAND // (first.shape[1] * first.shape[2]))
    for top in range(0, first.shape[0], rows):
        band = slice(top, top + rows)
        y_R = first[band].astype(np.float64)
        w = gate[band, :, None] / 255
        mixed = w * (alpha * y_R + beta * second[band]) + (1 - w) * y_R
        first[band] = np.rint(np.clip(mixed, 0, np.iinfo(first.dtype).max))


def _luminance(samples: Samples) -> NDArray[np.uint32]:
    """Y of (h, w, 1 or 3), exactly: in thousandths of a level of the samples."""
    if samples.shape[2] == 1:
        return samples[..., 0].astype(np.uint32) * 1000
    red, green, blue = (samples[..., i].astype(np.uint32) * weight for i, weight in enumerate(_WEIGHTS))
    return red + green + blue


def _luminances(samples: Samples, shown: NDArray[np.bool_] | None) -> Iterator[NDArray[np.uint32]]:
    """Y of each pixel that counts, a band of rows at a time."""
    height, width = samples.shape[:2]
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        y = _luminance(samples[top : top + rows])
        if shown is None:
            yield y.ravel()
        else:
            across = np.arange(width) * shown.shape[1] // width
            down = np.arange(top, top + len(y)) * shown.shape[0] // height
            yield y[shown[np.ix_(down, across)]]


def _lower_bits(samples: Samples, shown: NDArray[np.bool_] | None, upper: int) -> NDArray[np.int64]:
    """How often each value of the lower bits of Y occurs where its upper ones are `upper`."""
    counts = np.zeros(1 << _COARSE, np.int64)
    for y in _luminances(samples, shown):
        counts += np.bincount(y[y >> _COARSE == upper] & ((1 << _COARSE) - 1), minlength=1 << _COARSE)
    return counts


def _thousandths(samples: Samples) -> float:
    """`_luminance` over this is in levels of 255."""
    return 1000 * np.iinfo(samples.dtype).max / 255
