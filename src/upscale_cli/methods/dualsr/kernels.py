"""Kernels as DualSR uses them: in the place where both pixel grids share their outer edges, and how wide they are."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from upscale_cli.methods.dualsr.config import SCALE
from upscale_cli.methods.dualsr.downsampler import SIZE
from upscale_cli.methods.dualsr.imresize import cubic
from upscale_cli.methods.dualsr.regularisation import centre

Kernel = NDArray[np.float64]
Filter = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_FILTERS: Mapping[str, Filter] = {
    "box": lambda x: (np.abs(x) <= 0.5).astype(float),
    "bilinear": lambda x: np.clip(1 - np.abs(x), 0, None),
    "bicubic": cubic,
    "lanczos": lambda x: np.sinc(x) * np.sinc(x / 3) * (np.abs(x) < 3),
}
"""By the distance in pixels of the smaller picture; Lanczos with three lobes."""


def reduction(name: str) -> Kernel:
    """What halves a picture as image programs do, (SIZE, SIZE), centred and of sum 1.  name: of `config.REDUCTIONS`."""
    row = _FILTERS[name]((np.arange(SIZE) - centre(SIZE)) / SCALE)
    row /= row.sum()
    return np.outer(row, row)


def centred(kernel: Kernel) -> Kernel:
    """`kernel` (K, K), shifted by a cubic spline until its centre of mass is at `centre`, as in the released code."""
    places = np.arange(len(kernel))
    mass = np.array([kernel.sum(1) @ places, kernel.sum(0) @ places]) / kernel.sum()
    return np.asarray(shift(kernel, centre(len(kernel)) - mass))


def prepared(kernel: Kernel) -> Kernel:
    """A kernel of any odd side, centred and of sum 1, of a side 4 m + 1.

    With such a side as many whole pixels are lost on each side of the smaller grid, so that a patch that went there and
    back lies where it lay.  At least one pixel is added around it, for the shift.
    """
    margin = 1 + (len(kernel) + 1) // 2 % 2
    moved = centred(np.pad(kernel, margin))
    moved /= moved.sum()
    return moved


def widths(kernel: Kernel) -> tuple[float, float]:
    """The standard deviations of `kernel` along its axes, the larger first, in pixels of the larger grid."""
    weights = np.clip(kernel, 0, None) / np.clip(kernel, 0, None).sum()
    places = np.indices(kernel.shape).reshape(2, -1)
    variances = np.linalg.eigvalsh(np.cov(places, aweights=weights.ravel(), ddof=0))
    smaller, larger = np.sqrt(np.clip(variances, 0, None))
    return float(larger), float(smaller)
