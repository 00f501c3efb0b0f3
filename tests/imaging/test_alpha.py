"""Transparency grows without halos."""

import cv2
import numpy as np
import pytest
from picture_files import alpha_ramp

from upscale_cli.imaging.alpha import bleed_colours, upscale_alpha
from upscale_cli.imaging.resize import resize


def disc(size: int = 48) -> np.ndarray:
    """Alpha (size, size): an opaque disc with a smooth edge on nothing."""
    big = np.zeros((size * 8, size * 8), np.uint8)
    cv2.circle(big, (size * 4, size * 4), size * 5 // 2, 255, -1)
    return cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("scale", [4, 2.5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_white_shape_has_no_fringe_on_white_or_black(dtype: type, scale: float) -> None:
    white = np.iinfo(dtype).max
    alpha = disc().astype(dtype) * (257 if dtype is np.uint16 else 1)
    pixels = np.where(alpha[..., None] > 0, white, 0).astype(dtype).repeat(3, axis=2)
    size = round(48 * scale)
    grown = resize(bleed_colours(pixels, alpha), size, size)[..., 0] / white
    cover = upscale_alpha(alpha, size, size) / white
    np.testing.assert_allclose(grown * cover + (1 - cover), 1, atol=1e-6)
    np.testing.assert_allclose(grown * cover, cover, atol=1e-6)
    without = resize(pixels, size, size)[..., 0] / white * cover + (1 - cover)
    assert without.min() < 0.98, "the test would see a fringe"


def test_hidden_pixels_take_the_nearest_visible_colour() -> None:
    pixels, alpha = np.zeros((5, 9, 3), np.uint8), np.zeros((5, 9), np.uint8)
    pixels[2, 1], alpha[2, 1] = (200, 10, 20), 255
    pixels[2, 7], alpha[2, 7] = (5, 100, 250), 1
    bled = bleed_colours(pixels, alpha)
    assert (bled[:, :4] == (200, 10, 20)).all()
    assert (bled[:, 5:] == (5, 100, 250)).all()
    assert pixels[0, 0].tolist() == [0, 0, 0], "the input is left alone"


@pytest.mark.parametrize("channels", [1, 3])
def test_visible_pixels_stay(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, channels)).astype(np.uint16)
    alpha = alpha_ramp(40, 50, np.uint16)
    bled = bleed_colours(pixels, alpha)
    np.testing.assert_array_equal(bled[alpha > 0], pixels[alpha > 0])


@pytest.mark.parametrize("level", [0, 1, 255])
def test_all_hidden_or_all_visible_changes_nothing(level: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(bleed_colours(pixels, np.full((8, 8), level, np.uint8)), pixels)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_constant_alpha_stays_itself(level: int) -> None:
    assert (upscale_alpha(np.full((7, 9), level, np.uint8), 36, 28) == level).all()


def test_no_outline_away_from_the_edge() -> None:
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 20:] = 255
    grown = upscale_alpha(alpha, 160, 160)
    assert (grown[:, :72] == 0).all()
    assert (grown[:, 88:] == 255).all()
    assert (np.diff(grown[80].astype(int)) >= 0).all()
