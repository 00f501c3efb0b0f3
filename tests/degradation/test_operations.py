"""Each step of the degradation does what it says, and shifts nothing."""

import math

import cv2
import numpy as np
import pytest

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import (
    Kernel,
    Pixels,
    anisotropic_kernel,
    blur,
    compress,
    convolve,
    downsample,
)

KERNELS: tuple[Kernel, ...] = ("nearest", "box", "bilinear", "bicubic", "lanczos")
SIDE, CENTRE = 160, (71.3, 90.8)


def _blob(side: int = SIDE, centre: tuple[float, float] = CENTRE, sigma: float = 14) -> Pixels:
    y, x = np.mgrid[:side, :side]
    bump = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(20 + 220 * bump)[..., None], 3, 2).astype(np.uint8)


def _centre(picture: Pixels) -> tuple[float, float]:
    """The blob's centre of mass in pixels, (x, y)."""
    weights = np.clip(picture[..., 1].astype(float) - 30, 0, None)  # only the blob, not the ringing around it
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return float((weights * x).sum() / weights.sum()), float((weights * y).sum() / weights.sum())


def _shift(low: Pixels, scale: int = 4) -> float:
    """By how many low-resolution pixels the blob has moved, seen after bicubic upsampling."""
    up = cv2.resize(low, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return max(abs(a - b) / scale for a, b in zip(_centre(np.asarray(up, np.uint8)), _centre(_blob()), strict=True))


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_kernel_shifts_the_picture(kernel: Kernel):
    assert _shift(downsample(_blob(), 4, kernel)) < 0.05


def test_a_shift_would_be_seen():
    assert _shift(np.ascontiguousarray(_blob()[::4, ::4])) > 0.3


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.8, 4.0])
def test_blurring_shifts_nothing_and_is_as_wide_as_asked(sigma: float):
    blurred = blur(_blob(sigma=14), sigma)
    assert _shift(np.asarray(cv2.resize(blurred, (40, 40), interpolation=cv2.INTER_AREA), np.uint8)) < 0.05
    edge = np.zeros((64, 64, 3), np.uint8)
    edge[:, 32:] = 255
    profile = np.diff(blur(edge, sigma)[32, :, 0].astype(float)) / 255
    x = np.arange(profile.size)
    spread = math.sqrt((profile * (x - (profile * x).sum()) ** 2).sum())
    assert spread == pytest.approx(sigma, abs=0.12)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_jpeg_shifts_neither_luma_nor_chroma(subsampling):
    colourful = _blob(SIDE)
    colourful[..., 0] = 255 - colourful[..., 1]
    pressed = compress(colourful, 90, subsampling)
    for before, after in ((colourful, pressed), (255 - colourful[..., ::-1], 255 - pressed[..., ::-1])):
        moved = [a - b for a, b in zip(_centre(before), _centre(after), strict=True)]
        assert max(map(abs, moved)) < 0.1


@pytest.mark.parametrize("kernel", KERNELS)
def test_flat_areas_stay_flat_and_sizes_divide(kernel: Kernel):
    flat = np.full((32, 48, 3), (3, 128, 254), np.uint8)
    low = downsample(flat, 4, kernel)
    assert low.shape == (8, 12, 3)
    assert np.array_equal(low, np.broadcast_to(flat[0, 0], (8, 12, 3)))


def test_sides_that_would_shift_the_picture_are_refused():
    with pytest.raises(ValueError, match="97x96 is no multiple of 4"):
        downsample(np.zeros((96, 97, 3), np.uint8), 4, "bicubic")


def test_lower_quality_loses_more():
    rng = np.random.default_rng(0)
    picture = add_sensor_noise(_blob(), 10, rng)
    losses = [np.abs(compress(picture, quality).astype(float) - picture).mean() for quality in (95, 70, 50, 30)]
    assert losses == sorted(losses)
    assert losses[0] > 0


def test_nearest_takes_the_middle_pixel_or_the_mean_of_the_four():
    numbers = np.repeat(np.arange(36, dtype=np.uint8).reshape(6, 6, 1) * 7, 3, axis=2)
    assert np.array_equal(downsample(numbers, 3, "nearest"), numbers[1::3, 1::3])
    assert np.array_equal(downsample(numbers, 1, "nearest"), numbers)
    block = np.full((4, 4, 3), 255, np.uint8)  # the twelve around the middle do not count
    block[1:3, 1:3] = [[[1, 1, 1], [2, 2, 2]], [[3, 3, 3], [4, 4, 4]]]
    assert downsample(block, 4, "nearest").tolist() == [[[3, 3, 3]]]


def test_a_kernel_of_fixed_size_is_cut_off_there():
    line = np.zeros((9, 61, 3), np.uint8)
    line[:, 30] = 255
    assert [int((blur(line, 3.0, size)[4, :, 0] > 0).sum()) for size in (19, 15, 9)] == [17, 15, 9]
    assert np.array_equal(blur(line, 3.0), blur(line, 3.0, 19))


@pytest.mark.parametrize("seed", range(3))
def test_an_anisotropic_kernel_has_the_widths_and_the_angle_asked_and_its_centre_in_the_middle(seed: int):
    kernel = anisotropic_kernel((9.0, 2.0), math.radians(30), 31, 0.25, seed)
    y, x = np.mgrid[:31, :31] - 15
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-12)
    assert (kernel * y).sum() == pytest.approx(0, abs=1e-12)
    spread = np.array([[(kernel * a * b).sum() for a in (x, y)] for b in (x, y)])
    variances, axes = np.linalg.eigh(spread)
    assert variances == pytest.approx([2.0, 9.0], rel=0.1)
    assert math.degrees(math.atan(axes[1, 1] / axes[0, 1])) == pytest.approx(30, abs=4)


def test_an_anisotropic_kernel_is_uneven_by_no_more_than_asked_and_differs_by_seed():
    even = anisotropic_kernel((3.0, 1.0), 0.4, 11, 0.0, 0)
    assert np.array_equal(even, anisotropic_kernel((3.0, 1.0), 0.4, 11, 0.0, 1))
    uneven = anisotropic_kernel((3.0, 1.0), 0.4, 11, 0.2, 0)
    ratio = uneven / even
    assert 1.2 < ratio.max() / ratio.min() <= 1.2 / 0.8
    assert not np.array_equal(uneven, anisotropic_kernel((3.0, 1.0), 0.4, 11, 0.2, 1))
    assert np.array_equal(convolve(np.full((20, 20, 3), 97, np.uint8), uneven), np.full((20, 20, 3), 97, np.uint8))
