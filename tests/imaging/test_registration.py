"""Shifts between a camera's picture and a phone's are found, other scenes and flat pictures told."""

import cv2
import numpy as np
import pytest
import skimage.data

from phone_pictures import by_phone
from upscale_cli.imaging.registration import SAME_SCENE, SEARCH, SMALLEST, register

Pixels = np.ndarray


def _patch(x: float = 0, y: float = 0, side: int = 100) -> Pixels:
    """A part of a photograph whose content lies (x, y) further right and below."""
    photo = skimage.data.astronaut()
    moved = cv2.warpAffine(photo, np.array([[1.0, 0, x], [0, 1, y]]), photo.shape[1::-1], flags=cv2.INTER_CUBIC)
    return np.ascontiguousarray(moved[150 : 150 + side, 170 : 170 + side])


def test_a_picture_lies_over_itself():
    found = register(_patch(), _patch())
    assert found.shift == pytest.approx((0, 0), abs=0.05)
    assert found.correlation == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shift", [(0, 0), (0.5, -0.5), (1, 0), (-2.25, 3), (5, -7), (-12, 12)])
def test_a_shift_is_found_through_tone_blur_noise_and_jpeg(shift: tuple[float, float]):
    found = register(_patch(), by_phone(_patch(*shift)))
    assert found.shift == pytest.approx(shift, abs=0.35)
    assert found.correlation > 2 * SAME_SCENE


@pytest.mark.parametrize("side", [SMALLEST, 57, 260])
def test_any_size(side: int):
    found = register(_patch(side=side), by_phone(_patch(2, -1, side)))
    assert found.shift == pytest.approx((2, -1), abs=0.35)
    assert found.correlation > SAME_SCENE


@pytest.mark.parametrize("other", ["chelsea", "rocket", "coffee"])
def test_another_scene_does_not_correlate(other: str):
    photo = np.ascontiguousarray(getattr(skimage.data, other)()[100:200, 100:200])
    assert register(_patch(), by_phone(photo)).correlation < SAME_SCENE


def test_what_lies_further_off_than_is_looked_for_is_another_scene():
    assert register(_patch(), _patch(3 * SEARCH, 0)).correlation < SAME_SCENE


def test_flat_pictures_do_not_correlate():
    flat = np.full((50, 60, 3), 200, np.uint8)
    for other in (flat, flat // 2, _patch()[:50, :60]):
        assert register(other, flat).correlation == pytest.approx(0, abs=0.02)
