"""What a camera and a file format do to a picture: blur, downsampling, sensor noise, JPEG.

Pictures are uint8 RGB (H, W, 3) arrays; every draw comes from the numpy generator that is handed in.
Downsampling keeps pixel centres aligned (half-pixel convention), so a degraded picture is not shifted.
"""

import io
import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Kernel = Literal["box", "bilinear", "bicubic", "lanczos"]
Subsampling = Literal["4:2:0", "4:4:4"]

_RESAMPLING = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def blur(picture: Pixels, sigma: float) -> Pixels:
    """Isotropic Gaussian blur of `sigma` > 0 pixels, its kernel cut off at three sigma or further."""
    size = 2 * max(7, math.ceil(3 * sigma)) + 1
    return np.asarray(cv2.GaussianBlur(picture, (size, size), sigma), dtype=np.uint8)


def downsample(picture: Pixels, scale: int, kernel: Kernel) -> Pixels:
    """1/scale of the size by an antialiased kernel.  Raises ValueError for sides that are no multiples of `scale`."""
    height, width = picture.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} is no multiple of {scale}: the picture would be shifted")
    return np.asarray(Image.fromarray(picture).resize((width // scale, height // scale), _RESAMPLING[kernel]))


def add_sensor_noise(picture: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Independent Gaussian noise of standard deviation `sigma` grey levels, rounded and clipped to 8 bit."""
    noisy = picture + rng.normal(0.0, sigma, picture.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def compress(picture: Pixels, quality: int, subsampling: Subsampling = "4:2:0") -> Pixels:
    """The picture after JPEG at `quality` (1-100)."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file).convert("RGB"))
