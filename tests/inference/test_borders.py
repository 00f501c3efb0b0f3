"""Convolutions on a tile's sides."""

import pytest
import torch
import torch.nn.functional as F

from upscale_cli.inference.borders import inner, padded
from upscale_cli.inference.tiling import WHOLE, Edges, plan_tiles

ROWS = torch.arange(12.0).reshape(1, 1, 3, 4)


def test_only_the_pictures_borders_are_continued():
    assert padded(ROWS, 2, Edges(True, False, False, True)).shape == (1, 1, 5, 6)
    assert padded(ROWS, 2, Edges(True, False, False, True))[0, 0, 0].tolist() == [0, 0, 0, 1, 2, 3]
    assert padded(ROWS, 1, WHOLE, "reflect")[0, 0, 0].tolist() == [5, 4, 5, 6, 7, 6]


def test_only_inner_sides_shrink():
    assert inner(ROWS, 1, Edges(True, False, False, True))[0, 0].tolist() == [[4, 5, 6], [8, 9, 10]]
    assert torch.equal(inner(ROWS, 5, WHOLE), ROWS)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_a_convolved_tile_and_its_shortcut_are_parts_of_the_picture(mode):
    picture, weight = torch.rand(1, 1, 11, 13), torch.rand(1, 1, 3, 3)
    whole = F.conv2d(padded(picture, 1, WHOLE, mode), weight) + picture
    for tile in plan_tiles(11, 13, 4, 1):
        (top, bottom, left, right), edges = tile.outer, tile.frame.edges
        x = picture[:, :, top:bottom, left:right]
        part = F.conv2d(padded(x, 1, edges, mode), weight) + inner(x, 1, edges)
        top, bottom, left, right = tile.inner
        # a border nearer than the halo is within the tile
        near = [side * edge for side, edge in zip(tile.frame[:4], edges, strict=True)]
        part = part[:, :, near[2] : part.shape[2] - near[3], near[0] : part.shape[3] - near[1]]
        torch.testing.assert_close(part, whole[:, :, top:bottom, left:right])
