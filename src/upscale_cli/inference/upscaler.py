"""Runs a network over a picture in tiles, with the whole picture's result.

The way of a picture: measure it whole -> each tile's partial result -> settle what depends on all tiles -> finish each
tile. Partial results are kept where they fit into memory; where they do not, tiles are finished at once as if nothing
had to be settled, and redone only if that guess was wrong. A network that advances block by block goes another way
(`staged.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from upscale_cli.inference.network import AnyNetwork, Network, StagedNetwork
from upscale_cli.inference.plan import Plan, Sink
from upscale_cli.inference.self_ensemble import ALL_EIGHT, IDENTITY, Symmetry
from upscale_cli.inference.staged import upscale_staged
from upscale_cli.inference.tile_queue import TileQueue
from upscale_cli.inference.tiling import Box, Frame, Tile


@dataclass
class _Run:
    network: Network
    picture: Tensor
    symmetries: Sequence[Symmetry]
    batch: int
    tiles: TileQueue

    def inputs(self, tile: Tile) -> Iterator[tuple[Tensor, Frame, list[int]]]:
        """The tile's turned copies in batches of one frame: (B, 3, h, w), the frame, and which symmetries they are."""
        top, bottom, left, right = tile.outer
        x = self.picture[:, :, top:bottom, left:right]
        alike: dict[tuple[Frame, bool], list[int]] = {}
        for i, symmetry in enumerate(self.symmetries):
            oblong = symmetry.transpose and tile.outer.height != tile.outer.width
            alike.setdefault((symmetry.apply_to_frame(tile.frame), oblong), []).append(i)
        for (frame, _), members in alike.items():
            for first in range(0, len(members), self.batch):
                batch = members[first : first + self.batch]
                yield torch.cat([self.symmetries[i].apply(x) for i in batch]), frame, batch

    def partials(self, progress: Callable[[float], None]) -> Iterator[tuple[Tile, list[Tensor]]]:
        """Every tile with its partial results."""
        done = 0
        for tile, partials in self.tiles.each(self._partials_of):
            yield tile, partials
            done += tile.inner.height * tile.inner.width
            progress(done / (self.tiles.height * self.tiles.width))

    def _partials_of(self, tile: Tile) -> list[Tensor]:
        return [self.network.partial(x, frame) for x, frame, _ in self.inputs(tile)]


@torch.inference_mode()
def upscale(
    network: AnyNetwork,
    picture: Tensor,
    sink: Sink,
    plan: Plan,
    progress: Callable[[float], None] = lambda _: None,
) -> list[str]:
    """Upscales `picture` (1, 3, H, W) float32 in [0, 1] on the network's device, tile by tile into `sink`.

    progress gets the share done, in [0, 1].  Returns remarks for the user.  A tile may reach the sink twice, unless
    `plan.once`; the second time is the one that counts.  Raises ResourceError where even the smallest tile exceeds the
    memory, or the disk what is kept there between tiles.
    """
    if isinstance(network, StagedNetwork):
        return upscale_staged(network, picture, sink, plan, progress)
    symmetries = ALL_EIGHT if plan.self_ensemble else IDENTITY
    height, width = picture.shape[2:]
    tiles = TileQueue(height, width, plan.tile, network.halo)
    run = _Run(network, picture, symmetries, _batch_size(network, picture, plan), tiles)
    measured = torch.cat([network.measure(symmetry.apply(picture)) for symmetry in symmetries])
    pixels = height * width * network.scale**2
    keep = pixels * 12 * len(symmetries) <= plan.memory // 2
    rounds = 2 if plan.once and not keep else 1
    guess = torch.ones_like(measured)
    kept: list[tuple[Tile, list[Tensor]]] = []
    total = torch.zeros_like(measured, dtype=torch.float64)
    for tile, partials in run.partials(lambda share: progress(share / rounds)):
        for (_, _, members), partial in zip(run.inputs(tile), partials, strict=True):
            total[members] += network.contribution(partial)
        if keep:
            kept.append((tile, partials))
        elif not plan.once:
            _finish(run, tile, partials, guess, sink)
    settled = network.settle(measured, total, pixels)
    if keep:
        for tile, partials in kept:
            _finish(run, tile, partials, settled, sink)
    elif plan.once or bool((settled != 1).any()):
        for tile, partials in run.partials(lambda share: progress((rounds - 1 + share) / rounds)):
            _finish(run, tile, partials, settled, sink)
    exact = ["this model's tiles are exact at no cost: --tile-statistics local changes nothing"]
    return tiles.remarks + network.remarks(settled) + (exact if plan.local_statistics else [])


def _finish(run: _Run, tile: Tile, partials: Sequence[Tensor], settled: Tensor, sink: Sink) -> None:
    """Finishes each turned copy, turns it back, and hands their mean on."""
    outputs: dict[int, Tensor] = {}
    for (x, frame, members), partial in zip(run.inputs(tile), partials, strict=True):
        copies = run.network.finish(x, partial, frame, settled[members])
        outputs |= {i: run.symmetries[i].undo(copies[n : n + 1]) for n, i in enumerate(members)}
    mean = torch.stack([outputs[i] for i in sorted(outputs)]).mean(0) if len(outputs) > 1 else outputs[0]
    sink(Box(*(run.network.scale * side for side in tile.inner)), mean)


def _batch_size(network: Network, picture: Tensor, plan: Plan) -> int:
    """Copies that are run at once: one on the CPU, where a batch would leave the cache; elsewhere as memory allows."""
    if picture.device.type == "cpu":
        return 1
    height, width = (min(side, plan.tile + 2 * network.halo if plan.tile else side) for side in picture.shape[2:])
    return max(1, plan.memory // network.tile_bytes(height, width))
