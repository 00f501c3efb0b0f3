"""Resampling to any size, antialiased, in float32, a band of rows at a time."""

import math

import numpy as np
from PIL import Image

from upscale_cli.imaging.picture import Samples

LANCZOS = Image.Resampling.LANCZOS
BICUBIC = Image.Resampling.BICUBIC

# Lanczos and the cubic reach 3 and 2 samples of the coarser grid; one more for rounding.
_REACH = 4
_BAND_BYTES = 32 << 20


def resize(pixels: Samples, width: int, height: int, kernel: Image.Resampling = LANCZOS) -> Samples:
    """Pixels (H, W, C) of uint8 or uint16 -> (height, width, C) of the same type; pixel grids share their outer edges.

    Lanczos with three lobes: of the kernels that widen with the reduction it keeps the most detail, which is what an
    enlargement brought down to an odd scale is for.  A constant stays itself, the same size gives the same samples.
    Beside input and output it needs less than 200 MB.
    """
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    resized = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    rows = _rows_per_band(pixels.shape, width, height)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        for channel in range(pixels.shape[2]):
            resized[top:bottom, :, channel] = _band(pixels[..., channel], width, height, top, bottom, kernel)
    return resized


def _rows_per_band(shape: tuple[int, ...], width: int, height: int) -> int:
    """Rows of output whose floats, before, between and after the two passes, fill about one band's bytes."""
    ratio = shape[0] / height
    floats_per_row = width + ratio * (width + shape[1])
    spent = 2 * _REACH * max(ratio, 1.0) * (width + shape[1])
    return max(16, int((_BAND_BYTES / 4 - spent) / floats_per_row))


def _band(plane: Samples, width: int, height: int, top: int, bottom: int, kernel: Image.Resampling) -> Samples:
    """Rows `top` to `bottom` of the resized plane (H, W), from the rows of input that they depend on."""
    ratio = plane.shape[0] / height
    margin = math.ceil(_REACH * max(ratio, 1.0))
    first = max(0, math.floor(top * ratio) - margin)
    last = min(plane.shape[0], math.ceil(bottom * ratio) + margin)
    source = Image.fromarray(plane[first:last].astype(np.float32))
    box = (0.0, top * ratio - first, float(plane.shape[1]), min(bottom * ratio - first, float(last - first)))
    band = np.array(source.resize((width, bottom - top), kernel, box=box))
    np.clip(np.rint(band, out=band), 0, np.iinfo(plane.dtype).max, out=band)
    return band.astype(plane.dtype)
