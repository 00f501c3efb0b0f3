"""A picture's rows, a band at a time, so that nothing of the picture's size is made beside it."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from upscale_cli.imaging.picture import Picture, Samples

BAND_BYTES = 4 << 20


def interleaved_bands(picture: Picture, byte_order: Literal["<", ">"]) -> Iterator[Samples]:
    """(rows, W, C) with alpha as the last channel, contiguous, in the byte order ("<" or ">")."""
    channels = picture.pixels.shape[2] + (picture.alpha is not None)
    dtype = picture.pixels.dtype.newbyteorder(byte_order)
    rows = max(1, BAND_BYTES // (picture.width * channels * dtype.itemsize))
    for top in range(0, picture.height, rows):
        band = picture.pixels[top : top + rows]
        if picture.alpha is not None:
            band = np.concatenate([band, picture.alpha[top : top + rows, :, None]], axis=2)
        yield np.ascontiguousarray(band, dtype)
