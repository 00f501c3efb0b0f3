"""A network's feature maps of a whole picture, advanced tile by tile.

A `StagedNetwork` is written in these as it would be in tensors. Each step reads the map of the step before with a halo,
so that a tile knows its neighbours' features; sums over the picture are gathered tile by tile.
"""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from upscale_cli.inference.feature_store import FeatureStore
from upscale_cli.inference.tile_queue import TileQueue
from upscale_cli.inference.tiling import Box, Edges, Tile, with_halo

Step = Callable[[Tensor, Edges], Tensor]
"""Convolutions on a tile: (1, C, h, w) and which sides are borders -> (1, C', h', w'). On border sides it does what the
network does there, on inner sides it yields less by its halo."""


@dataclass
class Passage:
    """What the maps of one run share.  device: where steps are computed.  advanced: told the share of a step done."""

    device: torch.device
    tiles: TileQueue
    store: FeatureStore
    advanced: Callable[[float], None] = lambda _: None


class FeatureMap:
    """values: (1, C, H, W), perhaps kept elsewhere than on the device that computes."""

    def __init__(self, values: Tensor, passage: Passage) -> None:
        self._values = values
        self._passage = passage

    def convolved(self, step: Step, halo: int) -> "FeatureMap":
        """What `step` makes of this map."""
        return self._filled(step, halo, lambda _: None)

    def copy(self) -> "FeatureMap":
        """Another map of the same values."""
        copy = self._like(self._values)

        def fill(tile: Tile) -> None:
            copy._at(tile.inner).copy_(self._at(tile.inner))

        for tile, _ in self._passage.tiles.each(fill):
            self._done_with(tile)
        return copy

    def add_convolved(self, other: "FeatureMap", step: Step, halo: int) -> None:
        """self += step(other), for another map."""
        for tile, part in other.tiles_of(step, halo):
            self._at(tile.inner).add_(part.to(self._values.device))

    def add_attended(self, step: Step, halo: int, weights: Callable[[Tensor], Tensor]) -> None:
        """Channel attention: self += weights(means of d) * d, with d = step(self).

        weights: the means over the whole picture, (1, C) float64 -> (1, C, 1, 1).
        """
        sums = torch.zeros((), dtype=torch.float64, device=self._passage.device)

        def add_up(part: Tensor) -> None:
            # float64 beyond a row: the order of the tiles must not show
            nonlocal sums
            sums = sums + part.sum(3, dtype=torch.float32).sum(2, dtype=torch.float64)

        deep = self._filled(step, halo, add_up)
        factors = weights(sums / self._values[0, 0].numel()).to(deep._values)

        def add(tile: Tile) -> None:
            here = self._at(tile.inner)
            here.addcmul_(deep._at(tile.inner).to(here.device), factors.to(here.device))

        for tile, _ in self._passage.tiles.each(add):
            self._done_with(tile)

    def tiles_of(self, step: Step, halo: int, scale: int = 1) -> Iterator[tuple[Tile, Tensor]]:
        """What `step` makes of this map, tile by tile.  scale: by how much it enlarges."""
        tiles, done = self._passage.tiles, 0

        def work(tile: Tile) -> Tensor:
            _, outer, frame = with_halo(tile.inner, tiles.height, tiles.width, halo)
            part = step(self._at(outer).to(self._passage.device), frame.edges)
            # A tile that begins less than a halo from the border has read, and yields, all that lies between.
            left, right, top, bottom = (scale * n * edge for n, edge in zip(frame[:4], frame.edges, strict=True))
            return part[:, :, top : part.shape[2] - bottom, left : part.shape[3] - right]

        for tile, part in tiles.each(work):
            yield tile, part
            self._done_with(tile)
            done += tile.inner.height * tile.inner.width
            self._passage.advanced(done / (tiles.height * tiles.width))

    def _filled(self, step: Step, halo: int, see: Callable[[Tensor], None]) -> "FeatureMap":
        """What `step` makes of this map; `see` gets each tile of it."""
        result: FeatureMap | None = None
        for tile, part in self.tiles_of(step, halo):
            result = result or self._like(part)
            result._at(tile.inner).copy_(part)
            see(part)
        assert result is not None
        return result

    def _like(self, part: Tensor) -> "FeatureMap":
        """An empty map with as many features as `part`; its memory is used again once nobody holds it."""
        passage = self._passage
        values, give_back = passage.store.take(part.shape[1], passage.tiles.height, passage.tiles.width, part.dtype)
        made = FeatureMap(values, passage)
        weakref.finalize(made, give_back)
        return made

    def _done_with(self, tile: Tile) -> None:
        """Tiles come row by row, and a row is what is in memory at a time of maps in a file."""
        if tile.inner.right == self._passage.tiles.width:
            self._passage.store.leave_memory()

    def _at(self, box: Box) -> Tensor:
        if box.left == 0:
            self._passage.store.expect(self._values, box.top, box.bottom)
        return self._values[:, :, box.top : box.bottom, box.left : box.right]
