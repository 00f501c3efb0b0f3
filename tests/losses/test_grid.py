"""The loss of a grid: blind to what is off everywhere alike, and to detail, but not to a pattern within blocks."""

import pytest
import torch

from upscale_cli.losses.grid import grid_loss

SCALE = 4


def picture() -> torch.Tensor:
    return torch.rand(2, 3, 30 * SCALE, 30 * SCALE, generator=torch.Generator().manual_seed(0))


def test_an_error_that_is_everywhere_alike_is_no_grid():
    x = picture()
    assert grid_loss(x + 0.3, x, SCALE) < 1e-12


def test_a_pattern_costs_its_variance_whatever_the_picture():
    x, pattern = picture(), torch.randn(1, 1, SCALE, SCALE, generator=torch.Generator().manual_seed(1))
    grid = pattern.repeat(1, 1, 30, 30)
    assert grid_loss(x + grid, x, SCALE) == pytest.approx(float(pattern.var(correction=0)), rel=1e-4)


def test_detail_that_falls_anywhere_costs_little():
    x = picture()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    assert grid_loss(x + noise, x, SCALE) == pytest.approx(15 / 16 / 100, rel=0.2)


def test_pictures_smaller_than_a_window():
    x = picture()[..., : 3 * SCALE, : 5 * SCALE]
    assert grid_loss(1.5 * x, x, SCALE) > 0
