"""Noise of a sensor: Gaussian, Poisson, and both.  Each sample of a uint8 RGB (H, W, 3) picture has its own."""

import numpy as np
from numpy.typing import NDArray

from upscale_cli.degradation.operations import Pixels

WHITE = 255.0


def add_sensor_noise(picture: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Independent Gaussian noise of standard deviation `sigma` grey levels, rounded and clipped to 8 bit."""
    return _to_8_bit(picture + rng.normal(0.0, sigma, picture.shape))


def add_poisson_noise(picture: Pixels, peak: float, rng: np.random.Generator) -> Pixels:
    """Light counted in quanta, `peak` of them for white: the fewer, the noisier.  Rounded and clipped to 8 bit."""
    return _to_8_bit(_counted(picture, peak, rng))


def add_poisson_gaussian_noise(picture: Pixels, peak: float, sigma: float, rng: np.random.Generator) -> Pixels:
    """N(t) = alpha p + n, RWSR Eq. (2), with its alpha of 1: counted light, and Gaussian noise of `sigma` levels."""
    return _to_8_bit(_counted(picture, peak, rng) + rng.normal(0.0, sigma, picture.shape))


def _counted(picture: Pixels, peak: float, rng: np.random.Generator) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = rng.poisson(picture * (peak / WHITE)).astype(np.float64)
    return counts * (WHITE / peak)


def _to_8_bit(samples: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(samples), 0, WHITE).astype(np.uint8)
