"""The noise estimate: right where there is noise, small where there is none, whatever the picture."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import chelsea

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import downsample
from upscale_cli.imaging.noise_estimate import estimate_noise


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    """A sharp photograph of 100 x 74 pixels: a cat, fur all over."""
    return downsample(chelsea()[:296, :448], 4, "bicubic")


def noisy(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return add_sensor_noise(picture, sigma, np.random.default_rng(1))


@pytest.mark.parametrize("sigma", [2, 4, 8, 15, 25])
def test_the_noise_of_a_small_textured_photo(photo: NDArray[np.uint8], sigma: int) -> None:
    assert estimate_noise(noisy(photo, sigma)) == pytest.approx(sigma, rel=0.15, abs=0.7)


def test_a_sharp_photo_has_none(photo: NDArray[np.uint8]) -> None:
    assert estimate_noise(photo) < 1.5


def test_rounding_alone_is_the_deviation_of_a_uniform_level() -> None:
    ramp = np.linspace(40, 200, 256)[:, None] + np.linspace(0, 17.3, 256)[None]
    assert estimate_noise(np.rint(ramp).astype(np.uint8)[..., None]) == pytest.approx(1 / np.sqrt(12), abs=0.1)


def test_noise_that_is_the_same_in_all_channels_counts(photo: NDArray[np.uint8]) -> None:
    grain = np.random.default_rng(2).normal(0, 8, photo.shape[:2])[..., None]
    assert estimate_noise(np.clip(np.rint(photo + grain), 0, 255).astype(np.uint8)) == pytest.approx(8, rel=0.2)


def test_grey_and_16_bits_give_the_same_levels(photo: NDArray[np.uint8]) -> None:
    picture = noisy(photo, 8)
    assert estimate_noise(picture.astype(np.uint16) * 257) == pytest.approx(estimate_noise(picture), abs=1e-3)
    assert estimate_noise(picture[..., 1:2]) == pytest.approx(8, rel=0.2)


def test_areas_at_black_and_white_do_not_hide_noise(photo: NDArray[np.uint8]) -> None:
    picture = noisy(photo, 8)
    picture[:40], picture[60:] = 255, 0
    assert estimate_noise(picture) == pytest.approx(8, rel=0.25)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 3), (8, 8, 1), (20, 9, 3), (64, 64, 3)])
@pytest.mark.parametrize("level", [0, 93, 255])
def test_plain_and_tiny_pictures_have_none(shape: tuple[int, int, int], level: int) -> None:
    assert estimate_noise(np.full(shape, level, np.uint8)) == pytest.approx(0, abs=1e-6)


def test_large_pictures_are_sampled_and_alike(photo: NDArray[np.uint8]) -> None:
    tiled = noisy(np.tile(photo, (20, 12, 1)), 8)
    assert estimate_noise(tiled) == pytest.approx(8, rel=0.1)
    assert estimate_noise(tiled) == estimate_noise(tiled.copy())


@pytest.mark.parametrize("hidden", [0, 1, 128, 255])
def test_what_cannot_be_seen_has_no_part_in_it(photo: NDArray[np.uint8], hidden: int) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    picture = noisy(photo, 12)
    picture[:, :60] = hidden
    assert estimate_noise(picture, alpha) == pytest.approx(12, rel=0.15)
    assert estimate_noise(picture, np.zeros_like(alpha)) == estimate_noise(picture)
