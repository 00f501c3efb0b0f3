"""Pure geometry of tiles: where each tile's output lies, and what it must read. Knows neither torch nor networks."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Edges(NamedTuple):
    """Which sides of a tile are borders of the picture."""

    left: bool
    right: bool
    top: bool
    bottom: bool


WHOLE = Edges(True, True, True, True)


class Frame(NamedTuple):
    """What surrounds a tile's inner box within its outer one, in input pixels; and which sides are borders."""

    left: int
    right: int
    top: int
    bottom: int
    edges: Edges


class Box(NamedTuple):
    """Rows [top, bottom) and columns [left, right), in input pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left


class Tile(NamedTuple):
    """A tile: `inner` is what it yields, `outer` what it reads (inner and halo, clipped at the border)."""

    inner: Box
    outer: Box
    frame: Frame


def split_tile(tile: Tile, height: int, width: int, halo: int) -> list[Tile]:
    """Four tiles (two where it is one pixel thin, itself where it is one pixel) in the place of one."""
    top, bottom, left, right = tile.inner
    rows = sorted({top, (top + bottom) // 2, bottom})
    columns = sorted({left, (left + right) // 2, right})
    return [with_halo(Box(t, b, lt, r), height, width, halo) for t, b in pairwise(rows) for lt, r in pairwise(columns)]


def plan_tiles(height: int, width: int, tile: int, halo: int) -> list[Tile]:
    """Tiles that cover a height x width picture exactly once, row by row, in input pixels.

    tile: the largest side of a tile's inner box, 0 for one tile.  Sides are divided evenly, so none is a sliver.
    halo: how far a tile reads beyond its inner box; at the picture's border it ends there.
    """
    return [
        with_halo(Box(top, bottom, left, right), height, width, halo)
        for top, bottom in _spans(height, tile)
        for left, right in _spans(width, tile)
    ]


def with_halo(inner: Box, height: int, width: int, halo: int) -> Tile:
    """The tile that yields `inner` of a height x width picture and reads `halo` pixels more, where there are any."""
    outer = Box(
        max(inner.top - halo, 0),
        min(inner.bottom + halo, height),
        max(inner.left - halo, 0),
        min(inner.right + halo, width),
    )
    edges = Edges(outer.left == 0, outer.right == width, outer.top == 0, outer.bottom == height)
    frame = Frame(
        inner.left - outer.left, outer.right - inner.right, inner.top - outer.top, outer.bottom - inner.bottom, edges
    )
    return Tile(inner, outer, frame)


def _spans(length: int, tile: int) -> Iterator[tuple[int, int]]:
    count = -(-length // tile) if tile else 1
    for i in range(count):
        yield length * i // count, length * (i + 1) // count
