"""Sharpening a picture in place: the formula, whatever the bands, and what must stay as it is."""

import numpy as np
import pytest
import torch

from upscale_cli.imaging import sharpening
from upscale_cli.losses.sharpening import sharpened


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_it_is_what_training_sharpens_by(channels: int, scale: int) -> None:
    given = np.random.default_rng(0).uniform(20_000, 45_000, (31, 40, channels)).astype(np.uint16)
    found = given.copy()
    sharpening.sharpen(found, 0.7, scale)
    x = torch.from_numpy(given.astype(np.float32) / 257).permute(2, 0, 1)[None]
    expected = sharpened(x, 0.7, scale)[0].permute(1, 2, 0).numpy() * 257
    assert np.abs(found - expected).max() < 1  # of 65,535
    assert np.abs(found - given.astype(float)).max() > 1000


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_bands_do_not_show(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    given = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (67, 23, 3), endpoint=True).astype(kind)
    whole, banded = given.copy(), given.copy()
    sharpening.sharpen(whole, 1.5, 4)
    monkeypatch.setattr(sharpening, "_AT_ONCE", 23 * 3 * 7)
    sharpening.sharpen(banded, 1.5, 4)
    assert np.array_equal(whole, banded)


def test_plain_colours_stay_and_no_value_leaves_the_range() -> None:
    for level in (0, 13, 65_535):
        flat = np.full((9, 20, 3), level, np.uint16)
        sharpening.sharpen(flat, 2.0, 4)
        assert (flat == level).all()
    edge = np.zeros((12, 12, 1), np.uint8)
    edge[:, 6:] = 255
    sharpening.sharpen(edge, 1.0, 4)
    assert set(np.unique(edge)) == {0, 255}


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 1), (50, 1, 3)])
def test_thin_pictures(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(2).integers(0, 255, shape).astype(np.uint8)
    sharpening.sharpen(picture, 1.0, 4)
    assert picture.shape == shape
