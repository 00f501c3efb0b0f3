"""How near a picture is to the original: PSNR and SSIM, as super-resolution papers report them."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from upscale_cli.imaging.colour import luminance

Measured = Literal["rgb", "y"]

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW, _SIGMA = 11, 1.5


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8], *, on: Measured = "rgb", border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB of two (H, W, 3) pictures; infinite where they are the same.

    on: all three channels, or luminance in full floating point.  border: pixels left out on each side.
    Raises ValueError for different shapes, or when the border leaves nothing.
    """
    first, second = _prepared(a, b, on, border)
    error = float(np.mean((first - second) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8], *, on: Measured = "rgb", border: int = 0) -> float:
    """Structural similarity (Wang et al. 2004) of two (H, W, 3) pictures: 11 x 11 Gaussian window of sigma 1.5.

    Only windows wholly inside count; the mean over the channels.  Arguments and errors as in `psnr`.
    """
    first, second = _prepared(a, b, on, border)
    if min(first.shape[:2]) < _WINDOW:
        raise ValueError(f"SSIM needs at least {_WINDOW} x {_WINDOW} pixels inside the border, not {first.shape[:2]}")
    mean_a, mean_b = _windowed(first), _windowed(second)
    var_a = _windowed(first**2) - mean_a**2
    var_b = _windowed(second**2) - mean_b**2
    covariance = _windowed(first * second) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float(np.mean(similar / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))))


def _prepared(
    a: NDArray[np.uint8], b: NDArray[np.uint8], on: Measured, border: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if a.shape != b.shape:
        raise ValueError(f"pictures of different shapes: {a.shape} and {b.shape}")
    if 2 * border >= min(a.shape[:2]):
        raise ValueError(f"a border of {border} leaves nothing of {a.shape[:2]}")
    inside = slice(border, a.shape[0] - border), slice(border, a.shape[1] - border)
    first, second = a[inside], b[inside]
    if on == "y":
        return luminance(first), luminance(second)
    return first.astype(np.float64), second.astype(np.float64)


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gaussian mean of each whole window."""
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA)
    half = _WINDOW // 2
    return np.asarray(cv2.sepFilter2D(values, -1, kernel, kernel), np.float64)[half:-half, half:-half]
