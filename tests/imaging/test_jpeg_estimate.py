"""The JPEG quality that a picture has been through, from its pixels, and from its file's table."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import chelsea

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import compress, downsample
from upscale_cli.imaging.jpeg_estimate import estimate_quality
from upscale_cli.imaging.jpeg_tables import table_of


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    """112 x 74 pixels."""
    return downsample(chelsea()[:296, :448], 4, "bicubic")


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [10, 30, 50, 75, 90, 95])
def test_a_decoded_jpeg_tells_its_quality(photo: NDArray[np.uint8], quality: int, subsampling: str) -> None:
    assert estimate_quality(compress(photo, quality, subsampling)) == quality  # type: ignore[arg-type]


def test_noise_below_jpeg_does_not_matter(photo: NDArray[np.uint8]) -> None:
    assert estimate_quality(compress(add_sensor_noise(photo, 15, np.random.default_rng(1)), 50)) == 50


@pytest.mark.parametrize("sigma", [0, 4, 25])
def test_what_never_was_jpeg_has_no_trace(photo: NDArray[np.uint8], sigma: int) -> None:
    assert estimate_quality(add_sensor_noise(photo, sigma, np.random.default_rng(1))) is None


def test_the_trace_outlasts_cutting_turning_mirroring_grey_and_16_bits(photo: NDArray[np.uint8]) -> None:
    picture = compress(photo, 60)
    assert estimate_quality(picture[3:, 5:]) == 60
    assert estimate_quality(np.rot90(picture)) == 60
    assert estimate_quality(picture[:, ::-1]) == 60
    assert estimate_quality(picture.astype(np.uint16) * 257) == 60
    grey = np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
    assert estimate_quality(grey) == 60


def test_enlarging_effaces_it(photo: NDArray[np.uint8]) -> None:
    grown = np.kron(compress(photo, 60), np.ones((3, 3, 1), np.uint8))[1:, 1:]
    assert estimate_quality(downsample(grown[:216, :324], 2, "bicubic")) is None


def test_an_earlier_low_quality_shows_through_a_later_high_one(photo: NDArray[np.uint8]) -> None:
    twice = compress(compress(photo, 30), 90)
    assert estimate_quality(twice, table_of(90)) == 30
    assert estimate_quality(compress(photo, 90), table_of(90)) == 90
    assert estimate_quality(compress(compress(photo, 90), 50), table_of(50)) == 50
    assert estimate_quality(compress(compress(photo, 30), 95)) == pytest.approx(30, abs=5)


def test_a_file_without_telling_pixels_has_its_tables_quality() -> None:
    assert estimate_quality(np.full((64, 64, 3), 128, np.uint8), table_of(40)) == 40
    assert estimate_quality(np.full((9, 9, 1), 0, np.uint8), table_of(75)) == 75


def test_steps_of_another_kind_give_the_nearest_quality() -> None:
    """Tables of cameras: the steps are found one by one."""
    rng = np.random.default_rng(3)
    steps = table_of(50) + rng.integers(1, 3, (8, 8))
    n = np.arange(8)
    matrix = np.sqrt(2 / 8) * np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / 16)
    matrix[0] /= np.sqrt(2)
    multiples = rng.integers(-2, 3, (400, 8, 8)) * steps * (np.add.outer(n, n) < 5)
    multiples[:, 0, 0] = 0
    blocks = np.rint(128 + matrix.T @ multiples @ matrix).clip(0, 255).astype(np.uint8)
    picture = blocks.reshape(20, 20, 8, 8).swapaxes(1, 2).reshape(160, 160, 1)
    assert estimate_quality(picture) == pytest.approx(47, abs=4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (14, 300, 3), (15, 15, 1), (64, 64, 3)])
@pytest.mark.parametrize("level", [0, 93, 255])
def test_plain_and_tiny_pictures_have_none(shape: tuple[int, int, int], level: int) -> None:
    assert estimate_quality(np.full(shape, level, np.uint8)) is None
