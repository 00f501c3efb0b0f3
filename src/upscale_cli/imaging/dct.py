"""The discrete cosine transform of 8 x 8 blocks, as JPEG has it."""

import numpy as np
from numpy.typing import NDArray

SIDE = 8
_n = np.arange(SIDE)
_COSINES = np.cos(np.pi * (2 * _n[None] + 1) * _n[:, None] / (2 * SIDE)) * np.sqrt(2 / SIDE)
_COSINES[0] /= np.sqrt(2)
_MATRIX = _COSINES.astype(np.float32)

FREQUENCY: NDArray[np.int_] = _n[:, None] + _n[None]
"""How fine the pattern of each coefficient is, down and across together: 0 to 14."""


def dct(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 8, 8) samples -> (..., 8, 8) coefficients, orthonormal: white noise of sigma is sigma in each of them."""
    coefficients: NDArray[np.float32] = _MATRIX @ blocks @ _MATRIX.T
    return coefficients
