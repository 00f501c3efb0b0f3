"""Squared errors of every place: those that trying each place gives."""

import itertools

import numpy as np
import pytest

from upscale_cli.imaging.quality import Protocol, match, psnr
from upscale_cli.imaging.shift_search import squared_errors


@pytest.mark.parametrize("shape", [(23, 31), (24, 30, 3), (13, 17, 3)])
def test_they_are_those_of_brute_force(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    field = rng.integers(0, 256, shape).astype(np.float64)
    part = rng.integers(0, 256, (13, 9, *shape[2:])).astype(np.float64)
    expected = [
        [((field[top : top + 13, left : left + 9] - part) ** 2).sum() for left in range(shape[1] - 8)]
        for top in range(shape[0] - 12)
    ]
    found = squared_errors(field, part)
    assert found.shape == (shape[0] - 12, shape[1] - 8)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_best_of_all_shifts_is_found_where_hardly_any_differs() -> None:
    """CycleSR's protocol on a bright, almost flat picture, which single precision gets wrong."""
    rng = np.random.default_rng(6)
    result, original = np.clip(np.rint(rng.normal(245, 0.7, (2, 140, 140, 3))), 0, 255).astype(np.uint8)
    found = match(result, original, Protocol(shift_search=40, center_crop=60))
    tried = {
        (down, across): psnr(result[40 + down : 100 + down, 40 + across : 100 + across], original[40:100, 40:100])
        for down, across in itertools.product(range(-40, 41), repeat=2)
    }
    assert found.shift == max(tried, key=lambda shift: tried[shift])
