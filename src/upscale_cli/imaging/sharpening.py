"""Unsharp masking of an enlarged picture: what `--sharpen` does to what the network gave."""

import math

import cv2
import numpy as np

from upscale_cli.imaging.picture import Samples

SIGMA = 0.375
"""The Gaussian's standard deviation in pixels of the input: as wide as what enlarging leaves soft."""
REACH = 3
"""Standard deviations at which the Gaussian is cut off, rounded up to whole pixels."""
_AT_ONCE = 1 << 22
"""Samples of a band of rows: the work takes some twenty bytes for each of these, however large the picture."""


def sharpen(samples: Samples, amount: float, scale: int) -> None:
    """x + amount (x - the Gaussian mean of x) in place of each sample, within its range; (H, W, C) of 8 or 16 bits.

    scale: pixels that one of the input has become.  Beyond the border its last pixel goes on.
    """
    height, width, channels = samples.shape
    sigma = SIGMA * scale
    radius = math.ceil(REACH * sigma)
    step = max(radius, _AT_ONCE // (width * channels))
    above = samples[:0].copy()
    for top in range(0, height, step):
        band = np.concatenate([above, samples[top : top + step + radius]]).astype(np.float32)
        mean = cv2.GaussianBlur(band, (2 * radius + 1,) * 2, sigma, borderType=cv2.BORDER_REPLICATE)
        here = slice(len(above), len(above) + step)
        crisp = band[here] + amount * (band[here] - mean.reshape(band.shape)[here])
        above = samples[top + step - radius : top + step].copy()  # as they were, for the rows below
        samples[top : top + step] = np.clip(np.rint(crisp), 0, np.iinfo(samples.dtype).max)
