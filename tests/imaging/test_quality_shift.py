"""Comparison by a protocol: the most favourable shift is the one that trying them all would find."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from picture_files import photo

from upscale_cli.imaging.quality import Match, Measured, Protocol, match, psnr, ssim

GOLDEN = np.load(Path(__file__).parents[1] / "parity" / "psnr_ssim.npz")


def figures(found: Match, on: Measured = "rgb") -> tuple[float, float]:
    return psnr(found.result, found.original, on=on), ssim(found.result, found.original, on=on)


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.clip(pixels + np.random.default_rng(0).normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("border", [0, 2, 4])
def test_without_a_shift_it_is_psnr_and_ssim(border: int) -> None:
    values = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))
    channel: Measured
    for channel in ("rgb", "y"):
        found = match(GOLDEN["distorted_shift"], GOLDEN["reference"], Protocol(channel, border))
        expected = [values[f"shift_{name}_{channel}_border{border}"] for name in ("psnr", "ssim")]
        assert figures(found, channel) == pytest.approx(expected, rel=1e-5)
        assert found.shift == (0, 0)


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (0, -3), (-2, 1)])
def test_a_moved_picture_is_found_where_it_lies(shift: tuple[int, int]) -> None:
    found = match(np.roll(photo(), shift, (0, 1)), photo(), Protocol(crop_border=1, shift_search=3))
    assert found.shift == shift
    assert np.array_equal(found.result, found.original)


@pytest.mark.parametrize("on", ["rgb", "y"])
def test_the_found_shift_is_the_best_of_all(on: Measured) -> None:
    original, border, reach = photo(), 2, 3
    result = noisy(np.roll(original, (1, -2), (0, 1)), 40)
    found = match(result, original, Protocol(on, border, reach))
    margin = border + reach
    inside = original[margin:-margin, margin:-margin]
    tried = {}
    for down, across in itertools.product(range(-reach, reach + 1), repeat=2):
        moved = np.roll(result, (-down, -across), (0, 1))[margin:-margin, margin:-margin]
        tried[down, across] = psnr(moved, inside, on=on), ssim(moved, inside, on=on)
    best = max(tried, key=lambda shift: tried[shift][0])
    assert found.shift == best == (1, -2)
    assert figures(found, on) == pytest.approx(tried[best])


def test_a_center_crop_is_the_middle() -> None:
    result, original = noisy(photo(60, 90), 20), photo(60, 90)
    result[:20] = result[:, :35] = 0  # nothing but the crop resembles
    found = match(result, original, Protocol(center_crop=20))
    assert np.array_equal(found.result, result[20:40, 35:55])
    assert np.array_equal(found.original, original[20:40, 35:55])
    moved = match(np.roll(original, (4, 4), (0, 1)), original, Protocol(crop_border=3, shift_search=4, center_crop=20))
    assert moved.shift == (4, 4)
    assert np.array_equal(moved.result, moved.original)


def test_where_every_shift_is_alike_nothing_moves() -> None:
    flat = np.full((40, 40, 3), 77, np.uint8)
    assert match(flat + 1, flat, Protocol(shift_search=5)).shift == (0, 0)


@pytest.mark.parametrize(
    "protocol, words, needed",
    [
        (Protocol(shift_search=40), "RGB, border 0, best shift within 40", 91),
        (Protocol(crop_border=25), "RGB, border 25", 61),
        (Protocol(center_crop=61), "RGB, border 0, center crop 61 x 61", 61),
        (Protocol("y", 4, 3, 60), "luminance, border 4, center crop 60 x 60, best shift within 3", 74),
    ],
)
def test_a_picture_too_small_for_the_protocol_is_refused(protocol: Protocol, words: str, needed: int) -> None:
    said = f"90x60 pixels, the comparison ({words}) needs {needed} a side"
    with pytest.raises(ValueError, match=re.escape(said)):
        match(photo(), photo(), protocol)
    large = photo(needed, needed)
    assert match(large, large, protocol).shift == (0, 0)


def test_pictures_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        match(photo(), photo()[1:], Protocol())
