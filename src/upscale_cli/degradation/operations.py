"""What a camera and a file format do to a picture: blur, downsampling, JPEG (noise is in `noise.py`).

Pictures are uint8 RGB (H, W, 3) arrays.  Pixel centres stay aligned (half-pixel convention), so a degraded picture is
not shifted.
"""

import io
import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Kernel = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
Subsampling = Literal["4:2:0", "4:4:4"]

_RESAMPLING = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def kernel_size(sigma: float) -> int:
    """Side of a blur kernel that reaches three `sigma` or further: odd, and 15 at least."""
    return 2 * max(7, math.ceil(3 * sigma)) + 1


def blur(picture: Pixels, sigma: float, size: int | None = None) -> Pixels:
    """Isotropic Gaussian blur of `sigma` > 0 pixels by a kernel of `size` (odd) a side, None: as `kernel_size` says."""
    side = size or kernel_size(sigma)
    return np.asarray(cv2.GaussianBlur(picture, (side, side), sigma), dtype=np.uint8)


def anisotropic_kernel(
    variances: tuple[float, float], angle: float, size: int, noise: float, seed: int
) -> NDArray[np.float64]:
    """A Gaussian of two widths, made uneven (DualSR, section 5.1) -> (size, size), sum 1.

    variances: along and across its long axis, in pixels squared.  angle: of that axis, in radians.  noise: each weight
    is multiplied by 1 - noise to 1 + noise, drawn by `seed`; alike at opposite points, so that nothing is shifted.
    """
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    weights = np.exp(-(along**2 / variances[0] + across**2 / variances[1]) / 2)
    factors = np.random.default_rng(seed).uniform(1 - noise, 1 + noise, (size, size))
    weights *= (factors + factors[::-1, ::-1]) / 2
    return np.asarray(weights / weights.sum(), np.float64)


def convolve(picture: Pixels, kernel: NDArray[np.float64]) -> Pixels:
    """The picture blurred by `kernel` (odd sides, sum 1, its centre of mass in the middle), mirrored at its border."""
    return np.asarray(cv2.filter2D(picture, -1, kernel), dtype=np.uint8)


def downsample(picture: Pixels, scale: int, kernel: Kernel) -> Pixels:
    """1/scale of the size; antialiased, but for "nearest".  Raises ValueError for sides that are no multiples of
    `scale`."""
    height, width = picture.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} is no multiple of {scale}: the picture would be shifted")
    if kernel == "nearest":
        return _nearest(picture, scale)
    return np.asarray(Image.fromarray(picture).resize((width // scale, height // scale), _RESAMPLING[kernel]))


def compress(picture: Pixels, quality: int, subsampling: Subsampling = "4:2:0") -> Pixels:
    """The picture after JPEG at `quality` (1-100)."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file).convert("RGB"))


def _nearest(picture: Pixels, scale: int) -> Pixels:
    """The pixel in the middle of each block of `scale` a side.

    An even block has four, equally near: their mean. Any one of them would shift the picture by half a pixel.
    """
    middle = ((scale - 1) // 2, scale // 2)
    four = [picture[y::scale, x::scale].astype(np.uint16) for y in middle for x in middle]
    return ((sum(four[1:], four[0]) + 2) // 4).astype(np.uint8)
