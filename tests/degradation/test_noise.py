"""Each noise has the strength asked, and no bias."""

import math

import numpy as np
import pytest

from upscale_cli.degradation.noise import add_poisson_gaussian_noise, add_poisson_noise, add_sensor_noise
from upscale_cli.degradation.operations import Pixels

ROUNDING = 1 / math.sqrt(12)


def _grey(level: int) -> Pixels:
    return np.full((200, 200, 3), level, np.uint8)


@pytest.mark.parametrize("sigma", [2.0, 8.0, 15.0])
def test_noise_has_the_strength_asked_and_no_bias(sigma: float):
    error = add_sensor_noise(_grey(128), sigma, np.random.default_rng(0)).astype(float) - 128
    assert error.std() == pytest.approx(math.hypot(sigma, ROUNDING), rel=0.02)
    assert abs(error.mean()) < 0.1
    assert abs(np.corrcoef(error[..., 0].ravel(), error[..., 1].ravel())[0, 1]) < 0.02


def test_noise_is_clipped_and_no_noise_changes_nothing():
    rng = np.random.default_rng(0)
    white = np.full((50, 50, 3), 255, np.uint8)
    assert add_sensor_noise(white, 15, rng).max() == 255
    assert add_sensor_noise(white, 15, rng).min() > 150  # nothing wrapped around
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert np.array_equal(add_sensor_noise(ramp, 0.0, rng), ramp)


@pytest.mark.parametrize("peak", [50.0, 150.0])
@pytest.mark.parametrize("level", [10, 60, 140])
def test_poisson_noise_grows_with_the_root_of_the_light(peak: float, level: int):
    error = add_poisson_noise(_grey(level), peak, np.random.default_rng(0)).astype(float) - level
    assert error.std() == pytest.approx(math.hypot(math.sqrt(level * 255 / peak), ROUNDING), rel=0.05)
    assert abs(error.mean()) < 0.6  # its quanta are rounded to grey levels, and the dark end is cut off


def test_poisson_gaussian_noise_is_the_sum_of_both():
    for sigma in (0.0, 5.0):
        noisy = add_poisson_gaussian_noise(_grey(120), 100, sigma, np.random.default_rng(0)).astype(float) - 120
        assert noisy.std() == pytest.approx(math.sqrt(120 * 255 / 100 + sigma**2 + ROUNDING**2), rel=0.02)
        assert abs(noisy.mean()) < 0.3


def test_black_has_no_quanta_and_white_is_clipped():
    rng = np.random.default_rng(0)
    assert not add_poisson_noise(_grey(0), 50, rng).any()
    white = add_poisson_gaussian_noise(_grey(255), 50, 5, rng)
    assert white.max() == 255
    assert white.min() > 50  # nothing wrapped around
