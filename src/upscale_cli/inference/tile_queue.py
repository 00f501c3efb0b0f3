"""A picture's tiles, gone over once or many times, and what happens to them where memory runs out."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from upscale_cli.errors import ResourceError
from upscale_cli.inference.tiling import Tile, plan_tiles, split_tile

SMALLEST_TILE = 16
T = TypeVar("T")


class TileQueue:
    """The tiles of a height x width picture; those to come are quartered where memory runs out, also for later rounds.

    side: the largest side of a tile in input pixels, 0 for one tile.  halo: what each reads beyond what it yields.
    """

    def __init__(self, height: int, width: int, side: int, halo: int) -> None:
        self.height, self.width = height, width
        self.remarks: list[str] = []
        self._halo = halo
        self._tiles = plan_tiles(height, width, side, halo)

    @property
    def largest(self) -> int:
        """The longest side of any tile."""
        return _largest(self._tiles)

    def each(self, work: Callable[[Tile], T]) -> Iterator[tuple[Tile, T]]:
        """Every tile with what `work` makes of it.  Raises ResourceError where even the smallest does not fit."""
        waiting, done = deque(self._tiles), []
        while waiting:
            tile = waiting.popleft()
            try:
                result = work(tile)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                waiting = deque(self._quartered([tile, *waiting], error))
                continue
            yield tile, result
            done.append(tile)
        self._tiles = done

    def _quartered(self, waiting: Sequence[Tile], error: Exception) -> list[Tile]:
        largest = _largest(waiting)
        if largest <= SMALLEST_TILE:
            raise ResourceError(
                f"out of memory even with tiles of {largest} pixels", "close other programs or use --device cpu"
            ) from error
        torch.cuda.empty_cache()  # does nothing where CUDA is not in use
        self.remarks.append(f"out of memory with tiles of {largest} pixels: went on with {-(-largest // 2)}")
        return [part for tile in waiting for part in split_tile(tile, self.height, self.width, self._halo)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, on whatever device."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "can't allocate memory" in text
        or "not enough memory" in text
        or "out of memory" in text
    )


def _largest(tiles: Sequence[Tile]) -> int:
    return max(max(tile.inner.height, tile.inner.width) for tile in tiles)
