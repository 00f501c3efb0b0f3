"""Motion blur is as long and as bent as asked and moves nothing; a shift moves by what it says."""

import math

import numpy as np
import pytest
import skimage.data

from upscale_cli.degradation.motion import motion_kernel, shift
from upscale_cli.degradation.operations import convolve
from upscale_cli.imaging.quality import Protocol, match

PHOTO = np.ascontiguousarray(skimage.data.chelsea()[40:160, 60:200])


@pytest.mark.parametrize("length", [0.2, 1.0, 7.3, 24.0])
@pytest.mark.parametrize(("angle", "bend"), [(0.0, 0.0), (0.7, 0.0), (2.9, -1.5), (1.0, 6.0)])
def test_a_kernel_keeps_light_and_place(length: float, angle: float, bend: float):
    kernel = motion_kernel(length, angle, bend)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    offsets = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert (kernel.sum(axis=0) * offsets).sum() == pytest.approx(0, abs=1e-9)
    assert (kernel.sum(axis=1) * offsets).sum() == pytest.approx(0, abs=1e-9)


def test_a_straight_path_is_as_long_and_lies_as_asked():
    kernel = motion_kernel(24, math.radians(30), 0)
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[0]] - kernel.shape[0] // 2
    spread = np.array([[(kernel * a * b).sum() for a in (x, y)] for b in (x, y)])
    variances, axes = np.linalg.eigh(spread)
    assert variances[1] == pytest.approx(24**2 / 12, rel=0.02)  # of an even distribution on 24 pixels
    assert variances[0] < 0.3  # a pixel's own width
    assert math.degrees(math.atan(axes[1, 1] / axes[0, 1])) == pytest.approx(30, abs=0.5)


def test_a_level_path_is_a_row_and_a_bent_one_closes():
    assert motion_kernel(8, 0, 0)[4].sum() == pytest.approx(1)
    circle = motion_kernel(40, 0, 2 * math.pi)
    radius = 40 / (2 * math.pi)
    y, x = np.nonzero(circle)
    middle = circle.shape[0] // 2
    assert np.abs(np.hypot(y - middle, x - middle) - radius).max() < math.sqrt(2)


def test_the_shortest_path_blurs_nothing():
    assert np.array_equal(convolve(PHOTO, motion_kernel(0.01, 0.4, 0.0)), PHOTO)


@pytest.mark.parametrize("moved", [(0, 0), (3, -7), (-8, 2)])
def test_a_shift_is_whole_pixels_down_and_across(moved: tuple[int, int]):
    shifted = shift(PHOTO, *moved)
    assert shifted.shape == PHOTO.shape
    found = match(shifted, PHOTO, Protocol(crop_border=8, shift_search=8))
    assert found.shift == moved
    assert np.array_equal(found.result, found.original)


def test_what_comes_in_mirrors_the_picture():
    column = np.arange(5, dtype=np.uint8).reshape(1, 5, 1).repeat(3, axis=2)
    assert shift(column, 0, 2)[0, :, 0].tolist() == [2, 1, 0, 1, 2]
    assert shift(column, 0, -7)[0, :, 0].tolist() == [1, 0, 1, 2, 3]
