"""No downsampling and no blur moves the picture: phase correlation with the upsampled result finds no shift."""

import itertools
import math

import cv2
import numpy as np
import pytest
import skimage.data

from upscale_cli.degradation.motion import motion_kernel
from upscale_cli.degradation.operations import Kernel, Pixels, anisotropic_kernel, blur, convolve, downsample
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.degradation.recipes import RECIPES

KERNELS: tuple[Kernel, ...] = ("nearest", "box", "bilinear", "bicubic", "lanczos")
LIMIT = 0.05
"""High-resolution pixels."""
PATH = 4.0
"""Pixels of motion. A longer path blurs frequencies away that are measured here; `test_motion` has those."""


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return np.ascontiguousarray(skimage.data.chelsea()[20:260, 60:348])


def _shift(hr: Pixels, lr: Pixels, scale: int = 4) -> float:
    """By how many HR pixels `lr`, upsampled by bicubic, lies beside `hr`: the slope of the phase between them.

    Over frequencies up to half of what the small picture holds (aliases above are no shift, yet look like one), each
    as much as it is in the picture.
    """
    up = cv2.resize(lr, hr.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    window = np.outer(*map(np.hanning, hr.shape[:2]))
    before, after = (np.fft.fft2((side.mean(axis=2) - hr.mean()) * window) for side in (hr, up))
    y, x = np.meshgrid(*map(np.fft.fftfreq, hr.shape[:2]), indexing="ij")
    low = np.hypot(x, y) < 0.25 / scale
    cross = (before * after.conj())[low]
    slopes = 2 * np.pi * np.stack([y[low], x[low]], axis=1)
    weights = np.sqrt(np.abs(cross))
    shift, *_ = np.linalg.lstsq(slopes * weights[:, None], np.angle(cross) * weights, rcond=None)
    return math.hypot(*shift)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_downsampling_shifts_nothing(photo: Pixels, kernel: Kernel, scale: int):
    assert _shift(photo, downsample(photo, scale, kernel), scale) < LIMIT


@pytest.mark.parametrize("kernel", KERNELS)
def test_blurring_shifts_nothing(photo: Pixels, kernel: Kernel):
    uneven = [
        convolve(photo, anisotropic_kernel((5.0, 0.6), angle, 11, 0.25, seed)) for seed, angle in enumerate((0.3, 2.0))
    ]
    moved = [convolve(photo, motion_kernel(PATH, angle, bend)) for angle, bend in ((0.3, 0.0), (1.9, 1.0))]
    for blurred in (blur(photo, 0.2, 15), blur(photo, 1.2), blur(photo, 3.0, 15), *uneven, *moved):
        assert _shift(photo, downsample(blurred, 4, kernel)) < LIMIT


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_shifts_by_anything_else(photo: Pixels, recipe: str):
    # Noise and JPEG work on each pixel and block where it stands, but would blur the measurement.
    still = {"noise_probability": 0.0, "jpeg_probability": 0.0, "shift": 0, "motion_length": (PATH, PATH)}
    clean = RECIPES[recipe].model_copy(update=still)
    for seed in range(4):
        assert _shift(photo, degrade(photo, 4, clean, np.random.default_rng(seed))) < LIMIT


@pytest.mark.parametrize("moved", [(1, 0), (0, 3), (2, 1)])
def test_a_shift_is_measured(photo: Pixels, moved: tuple[int, int]):
    shifted = np.roll(photo, moved, axis=(0, 1))
    assert _shift(photo, downsample(shifted, 4, "bicubic")) == pytest.approx(math.hypot(*moved), abs=0.1)


def test_the_usual_nearest_would_be_seen(photo: Pixels):
    for y, x in itertools.product((1, 2), (1, 2)):
        assert _shift(photo, np.ascontiguousarray(photo[y::4, x::4])) == pytest.approx(math.hypot(0.5, 0.5), abs=0.1)
