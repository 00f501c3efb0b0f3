"""Comparison by a protocol: the most favourable shift is the one that trying them all would find."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from picture_files import photo

from upscale_cli.imaging.quality import Measured, Protocol, compare, psnr, ssim

GOLDEN = np.load(Path(__file__).parents[1] / "parity" / "psnr_ssim.npz")


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.clip(pixels + np.random.default_rng(0).normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("border", [0, 2, 4])
def test_without_a_shift_it_is_psnr_and_ssim(border: int) -> None:
    values = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))
    for channel in ("rgb", "y"):
        score = compare(GOLDEN["distorted_shift"], GOLDEN["reference"], Protocol(channel, border))
        assert score.psnr == pytest.approx(values[f"shift_psnr_{channel}_border{border}"], rel=1e-5)
        assert score.ssim == pytest.approx(values[f"shift_ssim_{channel}_border{border}"], rel=1e-5)
        assert score.shift == (0, 0)


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (0, -3), (-2, 1)])
def test_a_moved_picture_is_found_where_it_lies(shift: tuple[int, int]) -> None:
    score = compare(np.roll(photo(), shift, (0, 1)), photo(), Protocol(border=1, reach=3))
    assert score.shift == shift
    assert score.psnr == float("inf")
    assert score.ssim == pytest.approx(1)


@pytest.mark.parametrize("on", ["rgb", "y"])
def test_the_found_shift_is_the_best_of_all(on: Measured) -> None:
    original, border, reach = photo(), 2, 3
    result = noisy(np.roll(original, (1, -2), (0, 1)), 40)
    score = compare(result, original, Protocol(on, border, reach))
    margin = border + reach
    inside = original[margin:-margin, margin:-margin]
    tried = {}
    for down, across in itertools.product(range(-reach, reach + 1), repeat=2):
        moved = np.roll(result, (-down, -across), (0, 1))[margin:-margin, margin:-margin]
        tried[down, across] = psnr(moved, inside, on=on), ssim(moved, inside, on=on)
    best = max(tried, key=lambda shift: tried[shift][0])
    assert score.shift == best == (1, -2)
    assert (score.psnr, score.ssim) == pytest.approx(tried[best])


def test_a_patch_is_the_middle() -> None:
    result, original = noisy(photo(60, 90), 20), photo(60, 90)
    result[:20] = result[:, :35] = 0  # nothing but the patch resembles
    score = compare(result, original, Protocol(patch=20))
    assert score.psnr == pytest.approx(psnr(result[20:40, 35:55], original[20:40, 35:55]))
    moved = compare(np.roll(original, (4, 4), (0, 1)), original, Protocol(border=3, reach=4, patch=20))
    assert (moved.psnr, moved.shift) == (float("inf"), (4, 4))


def test_where_every_shift_is_alike_nothing_moves() -> None:
    flat = np.full((40, 40, 3), 77, np.uint8)
    assert compare(flat + 1, flat, Protocol(reach=5)).shift == (0, 0)


@pytest.mark.parametrize(
    "protocol, needed", [(Protocol(reach=40), 91), (Protocol(border=25), 61), (Protocol("y", 4, 3, 60), 74)]
)
def test_a_picture_too_small_for_the_protocol_is_refused(protocol: Protocol, needed: int) -> None:
    with pytest.raises(ValueError, match=f"90x60 pixels, the comparison needs {needed} a side"):
        compare(photo(), photo(), protocol)
    large = photo(needed, needed)
    assert compare(large, large, protocol).psnr == float("inf")


def test_pictures_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        compare(photo(), photo()[1:], Protocol())
