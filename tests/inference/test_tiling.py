"""Tiles cover a picture exactly once and read what they must."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from upscale_cli.inference.tiling import WHOLE, Box, Edges, Frame, Tile, plan_tiles, split_tile


def _cases() -> Iterator[tuple[int, int, int, int]]:
    """height, width, tile, halo: corners of the ranges, and 200 from within."""
    yield from [(1, 1, 0, 4), (1, 1, 16, 0), (1, 100, 1, 4), (16, 16, 16, 4), (17, 17, 16, 4), (33, 16, 16, 40)]
    rng = random.Random(5)
    for _ in range(200):
        yield rng.randint(1, 90), rng.randint(1, 90), rng.choice([0, 5, 7, 16, 16, 23, 64]), rng.randint(0, 9)


def _assert_tile_fits(tile: Tile, height: int, width: int, halo: int) -> None:
    inner, outer, frame = tile
    assert inner.height > 0
    assert inner.width > 0
    assert outer.top == max(0, inner.top - halo)
    assert outer.left == max(0, inner.left - halo)
    assert outer.bottom == min(height, inner.bottom + halo)
    assert outer.right == min(width, inner.right + halo)
    assert (outer.left + frame.left, outer.right - frame.right) == (inner.left, inner.right)
    assert (outer.top + frame.top, outer.bottom - frame.bottom) == (inner.top, inner.bottom)
    assert frame.edges == (outer.left == 0, outer.right == width, outer.top == 0, outer.bottom == height)


def _painted(tiles: list[Tile], height: int, width: int) -> np.ndarray:
    count = np.zeros((height, width), int)
    for tile in tiles:
        count[tile.inner.top : tile.inner.bottom, tile.inner.left : tile.inner.right] += 1
    return count


def test_every_pixel_is_covered_once():
    for height, width, size, halo in _cases():
        tiles = plan_tiles(height, width, size, halo)
        assert (_painted(tiles, height, width) == 1).all(), (height, width, size, halo)
        for tile in tiles:
            _assert_tile_fits(tile, height, width, halo)


def test_sides_are_even_and_no_longer_than_asked_for():
    for height, width, size, halo in _cases():
        tiles = plan_tiles(height, width, size, halo)
        for length, sides in ((height, {t.inner.height for t in tiles}), (width, {t.inner.width for t in tiles})):
            assert max(sides) - min(sides) <= 1
            assert max(sides) <= (size or length)
        rows, columns = (-(-length // size) if size else 1 for length in (height, width))
        assert len(tiles) == rows * columns


def test_tiles_come_row_by_row():
    tiles = plan_tiles(50, 70, 16, 4)
    assert [(t.inner.top, t.inner.left) for t in tiles] == sorted((t.inner.top, t.inner.left) for t in tiles)


def test_one_tile_is_the_whole_picture():
    whole = Box(0, 30, 0, 40)
    assert plan_tiles(30, 40, 0, 4) == [Tile(whole, whole, Frame(0, 0, 0, 0, WHOLE))]


def test_a_halo_that_reaches_the_border_makes_an_edge():
    """A tile that begins two pixels from the border reads those two, and sees the border there."""
    tiles = plan_tiles(8, 2 * 3, 2, 2)
    second = tiles[1]
    assert second.inner == Box(0, 2, 2, 4)
    assert second.outer == Box(0, 4, 0, 6)
    assert second.frame == Frame(2, 2, 0, 2, Edges(left=True, right=True, top=True, bottom=False))


def test_split_tiles_take_the_place_of_one():
    for height, width, size, halo in _cases():
        for tile in plan_tiles(height, width, size, halo)[:3]:
            parts = split_tile(tile, height, width, halo)
            assert np.array_equal(_painted(parts, height, width), _painted([tile], height, width))
            for part in parts:
                _assert_tile_fits(part, height, width, halo)
                assert part.inner.height <= -(-tile.inner.height // 2)
                assert part.inner.width <= -(-tile.inner.width // 2)


@pytest.mark.parametrize(("height", "width", "parts"), [(2, 2, 4), (1, 5, 2), (5, 1, 2), (1, 1, 1)])
def test_number_of_parts(height, width, parts):
    [tile] = plan_tiles(height, width, 0, 3)
    assert len(split_tile(tile, height, width, 3)) == parts
