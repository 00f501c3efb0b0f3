"""Where a part fits best into a larger picture: the squared error of every place, without trying them one by one."""

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def squared_errors(field: Samples, part: Samples) -> Samples:
    """Sum of squared differences between `part` (h, w[, C]) and `field` (H, W[, C]) at every place that holds it whole.

    Result (H - h + 1, W - w + 1), by (top, left): sum (f - p)^2 = sum f^2 - 2 sum f p + sum p^2, of which the first is
    a box sum and the second a correlation, by FFT. In double precision the sums of 8-bit samples are right to far less
    than one, so the lowest is the best place; OpenCV's matchTemplate, whose sums are single, finds but a near one.
    """
    height, width = part.shape[:2]
    rows, columns = field.shape[0] - height + 1, field.shape[1] - width + 1
    field, part = (np.atleast_3d(samples) for samples in (field, part))
    sums = cv2.integral((field**2).sum(axis=2), sdepth=cv2.CV_64F)
    boxes = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    products = np.zeros((rows, columns))
    for channel in range(field.shape[2]):  # one by one: a spectrum takes twice the memory of its samples
        products += _correlation(field[..., channel], part[..., channel])[:rows, :columns]
    return np.asarray(boxes - 2 * products + (part**2).sum(), np.float64)


def _correlation(field: Samples, part: Samples) -> Samples:
    """Circular, of the size of `field`; nothing comes round where `part` lies wholly inside."""
    size = (field.shape[0], field.shape[1])
    spectrum = np.fft.rfft2(field) * np.fft.rfft2(part, size).conj()
    return np.asarray(np.fft.irfft2(spectrum, size), np.float64)
