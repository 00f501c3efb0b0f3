"""How noisy a picture is, from the picture alone.

Noise is as strong in the fine frequencies of a smooth block as everywhere else, and little else is there.  Of many
8 x 8 blocks the smoothest are chosen by their coarse frequencies, and what their fine ones hold is measured: after
Ponomarenko, Lukin, Zriakhov, Kaarna and Astola, "An automatic approach to lossy compression of AVIRIS images", IGARSS
2007.  Luminance and two colour differences are measured apart: in the latter there is hardly any texture, so that
noise of its own in each channel shows even where the whole picture is textured.
"""

import math

import numpy as np
from numpy.typing import NDArray

from upscale_cli.imaging.dct import FREQUENCY, SIDE, dct
from upscale_cli.imaging.picture import Samples

_MOST_BLOCKS = 20_000
_STEP = 3
"""Pixels from block to block where the picture is small."""
_SMOOTHEST, _FEWEST = 0.05, 12
"""Share of the blocks that counts as smooth, and how many at least."""
_COARSE = (FREQUENCY >= 1) & (FREQUENCY <= 4)
_FINE = FREQUENCY >= 10
_LOW, _LOW_OF_NOISE = 0.1, 0.5698
"""Texture adds to some of the smooth blocks: a low quantile of their mean squares is noise alone.  Of unit noise it
is this much (chi squared of the 15 fine frequencies, over 15)."""
_COLOURS = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]], np.float32) / np.sqrt(np.array([[3], [2], [6]], np.float32))
"""RGB -> luminance and two colour differences, orthonormal."""


def estimate_noise(pixels: Samples, alpha: Samples | None = None) -> float:
    """Standard deviation of the noise in levels of 255, root mean square of the channels: (H, W, 1 or 3) -> sigma >= 0.

    alpha: (H, W); what stands where it is 0 is nobody's picture.
    Rounding to 8 bits alone is 0.3.  Noise that depends on brightness is that of the smooth parts.  What a camera or an
    enlargement has made smooth itself, and what JPEG has left out, is not seen.  0 below 8 pixels a side.
    """
    if min(pixels.shape[:2]) < SIDE:
        return 0.0
    coefficients = dct(_blocks(pixels, alpha))
    squares = coefficients**2
    coarse = squares[..., _COARSE].sum(axis=(1, 2))
    fine = squares[..., _FINE].mean(axis=2)
    count = min(len(coarse), max(_FEWEST, int(_SMOOTHEST * len(coarse))))
    smoothest = np.argpartition(coarse, count - 1)[:count]
    variances = np.quantile(fine[smoothest], _LOW, axis=0) / _LOW_OF_NOISE
    return math.sqrt(float(variances.mean()))


def _blocks(pixels: Samples, alpha: Samples | None) -> NDArray[np.float32]:
    """(N, C, 8, 8) in levels of 255, spread over the picture; those that hold hidden pixels, or touch black or white,
    where noise is cut off, only if there are hardly any others."""
    white = np.iinfo(pixels.dtype).max
    # Odd, so that the blocks lie in every way on the grid that JPEG may have left.
    step = max(_STEP, math.isqrt(pixels.shape[0] * pixels.shape[1] // _MOST_BLOCKS) | 1)
    blocks = _windows(pixels, step)
    if alpha is not None:
        blocks = _preferred(blocks, (_windows(alpha[..., None], step) > 0).all(axis=(1, 2, 3)))
    blocks = _preferred(blocks, ((blocks > 0) & (blocks < white)).all(axis=(1, 2, 3)))
    levels = blocks.astype(np.float32) * np.float32(255 / white)
    return levels if levels.shape[1] == 1 else np.einsum("dc,ncyx->ndyx", _COLOURS, levels)


def _windows(samples: Samples, step: int) -> Samples:
    """(H, W, C) -> (N, C, 8, 8), `step` pixels from block to block."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, (SIDE, SIDE), axis=(0, 1))[::step, ::step]
    return windows.reshape(-1, *windows.shape[2:])


def _preferred(blocks: Samples, wanted: NDArray[np.bool_] | np.bool_) -> Samples:
    return blocks[wanted] if np.count_nonzero(wanted) >= _FEWEST else blocks
