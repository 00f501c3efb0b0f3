"""Colour spaces that measurements need."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def luminance(rgb: NDArray[np.integer[Any] | np.floating[Any]]) -> NDArray[np.float64]:
    """RGB (H, W, 3) in [0, 255] -> Y (H, W) in [16, 235], unrounded: BT.601 as MATLAB's rgb2ycbcr."""
    y: NDArray[np.float64] = rgb.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255 + 16
    return y
