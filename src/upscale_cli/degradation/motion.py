"""What moves while and before a picture is taken: the camera along a path, which blurs, and the picture as a whole."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from upscale_cli.degradation.operations import Pixels

_STEPS = 16
"""Points of a path for each pixel of its length."""


def motion_kernel(length: float, angle: float, bend: float) -> NDArray[np.float64]:
    """Even motion along an arc while the shutter is open -> (size, size), sum 1, centre of mass in the middle.

    length: of the arc, in pixels.  angle: of its middle, in radians.  bend: by how much its direction turns from end to
    end, 0 for a straight line.
    """
    count = max(2, math.ceil(_STEPS * length))
    directions = angle + bend * np.linspace(-0.5, 0.5, count)
    path = np.cumsum([np.sin(directions), np.cos(directions)], axis=1) * (length / count)
    path -= path.mean(axis=1, keepdims=True)
    reach = math.floor(np.abs(path).max()) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    corner = np.floor(path).astype(int)
    # A point is shared among the four pixels around it as in bilinear interpolation, which keeps the centre of mass.
    for down, across in itertools.product((0, 1), repeat=2):
        shares = np.abs(1 - down - (path[0] - corner[0])) * np.abs(1 - across - (path[1] - corner[1]))
        np.add.at(kernel, (corner[0] + down + reach, corner[1] + across + reach), shares)
    return kernel / count


def shift(picture: Pixels, down: int, across: int) -> Pixels:
    """What the picture (H, W, 3) shows, moved by whole pixels; what comes in at a border mirrors the picture."""
    rows, columns = (_shifted(side, by) for side, by in zip(picture.shape[:2], (down, across), strict=True))
    return np.ascontiguousarray(picture[rows[:, None], columns])


def _shifted(side: int, by: int) -> NDArray[np.int64]:
    """Which of `side` pixels stands at each place."""
    mirrored = np.pad(np.arange(side), abs(by), mode="reflect")
    return mirrored[abs(by) - by :][:side]
