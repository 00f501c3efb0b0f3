"""Runs a network over a picture in tiles, with the whole picture's result.

The way of a picture: measure it whole -> each tile's partial result -> settle what depends on all tiles -> finish each
tile. Partial results are kept where they fit into memory; where they do not, tiles are finished at once as if nothing
had to be settled, and redone only if that guess was wrong.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from upscale_cli.errors import ResourceError
from upscale_cli.inference.network import Network
from upscale_cli.inference.self_ensemble import ALL_EIGHT, IDENTITY, Symmetry
from upscale_cli.inference.tiling import Box, Frame, Tile, plan_tiles, split_tile

SMALLEST_TILE = 16
CACHE_BYTES = 64 * 1024**2
Sink = Callable[[Box, Tensor], None]
"""Takes a tile's place, in output pixels, and its pixels (1, 3, h, w) in [0, 1]."""


@dataclass(frozen=True)
class Plan:
    """How a picture is run.  tile: the largest side in input pixels, 0 for the whole.  memory: bytes for activations
    and kept partial results.  self_ensemble: the mean over eight symmetries."""

    tile: int = 0
    memory: int = 2 * 1024**3
    self_ensemble: bool = False


@dataclass
class _Run:
    network: Network
    picture: Tensor
    symmetries: Sequence[Symmetry]
    batch: int
    remarks: list[str] = field(default_factory=list)

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


@torch.inference_mode()
def upscale(
    network: Network, picture: Tensor, sink: Sink, plan: Plan, progress: Callable[[float], None] = lambda _: None
) -> list[str]:
    """Upscales `picture` (1, 3, H, W) float32 in [0, 1] on the network's device, tile by tile into `sink`.

    progress gets the share done, in [0, 1].  Returns remarks for the user.  A tile may reach the sink twice; the second
    time is the one that counts.  Raises ResourceError where even the smallest tile exceeds the memory.
    """
    symmetries = ALL_EIGHT if plan.self_ensemble else IDENTITY
    run = _Run(network, picture, symmetries, _batch_size(network, picture, plan))
    height, width = picture.shape[2:]
    measured = torch.cat([network.measure(symmetry.apply(picture)) for symmetry in symmetries])
    pixels = height * width * network.scale**2
    keep = pixels * 12 * len(symmetries) <= plan.memory // 2
    guess = torch.ones_like(measured)
    kept: list[tuple[Tile, list[Tensor]]] = []
    total = torch.zeros_like(measured, dtype=torch.float64)
    done: list[Tile] = []
    for tile, partials in _partials(run, plan_tiles(height, width, plan.tile, network.halo), progress):
        done.append(tile)
        for (_, _, members), partial in zip(run.inputs(tile), partials, strict=True):
            total[members] += network.contribution(partial)
        if keep:
            kept.append((tile, partials))
        else:
            _finish(run, tile, partials, guess, sink)
    settled = network.settle(measured, total, pixels)
    if keep:
        for tile, partials in kept:
            _finish(run, tile, partials, settled, sink)
    elif bool((settled != 1).any()):
        for tile, partials in _partials(run, done, progress):
            _finish(run, tile, partials, settled, sink)
    return run.remarks + network.remarks(settled)


def choose_tile(network: Network, device: torch.device, height: int, width: int, memory: int) -> int:
    """The tile for `auto`: what stays in a CPU's cache, or what a quarter of a GPU's memory holds; 0 for the whole.

    On the machines we measured, activations of about CACHE_BYTES are quickest: smaller tiles compute too much halo.
    """
    room = min(CACHE_BYTES, memory // 4) if device.type == "cpu" else memory // 4
    unit = 64
    side = int(unit * (room / network.tile_bytes(unit, unit)) ** 0.5)
    tile = max(side, SMALLEST_TILE)
    return 0 if tile >= max(height, width) else tile


def _partials(
    run: _Run, tiles: Sequence[Tile], progress: Callable[[float], None]
) -> Iterator[tuple[Tile, list[Tensor]]]:
    """Every tile with its partial results; where memory runs out, the tiles to come are quartered."""
    network, (height, width) = run.network, run.picture.shape[2:]
    waiting = deque(tiles)
    done = 0
    while waiting:
        tile = waiting.popleft()
        try:
            partials = [network.partial(x, frame) for x, frame, _ in run.inputs(tile)]
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            waiting.appendleft(tile)
            waiting = deque(_smaller(run, waiting, error))
            continue
        yield tile, partials
        done += tile.inner.height * tile.inner.width
        progress(done / (height * width))


def _finish(run: _Run, tile: Tile, partials: Sequence[Tensor], settled: Tensor, sink: Sink) -> None:
    """Finishes each turned copy, turns it back, and hands their mean on."""
    outputs: dict[int, Tensor] = {}
    for (x, frame, members), partial in zip(run.inputs(tile), partials, strict=True):
        copies = run.network.finish(x, partial, frame, settled[members])
        outputs |= {i: run.symmetries[i].undo(copies[n : n + 1]) for n, i in enumerate(members)}
    mean = torch.stack([outputs[i] for i in sorted(outputs)]).mean(0) if len(outputs) > 1 else outputs[0]
    scale = run.network.scale
    sink(Box(*(scale * side for side in tile.inner)), mean)


def _smaller(run: _Run, waiting: deque[Tile], error: Exception) -> list[Tile]:
    height, width = run.picture.shape[2:]
    largest = max(max(tile.inner.height, tile.inner.width) for tile in waiting)
    if largest <= SMALLEST_TILE:
        raise ResourceError(
            f"out of memory even with tiles of {largest} pixels", "close other programs or use --device cpu"
        ) from error
    if run.picture.device.type == "cuda":
        torch.cuda.empty_cache()
    run.remarks.append(f"out of memory with tiles of {largest} pixels: went on with {-(-largest // 2)}")
    return [part for tile in waiting for part in split_tile(tile, height, width, run.network.halo)]


def _batch_size(network: Network, picture: Tensor, plan: Plan) -> int:
    """Copies that are run at once: one on the CPU, where a batch would leave the cache; elsewhere as memory allows."""
    if picture.device.type == "cpu":
        return 1
    height, width = (min(side, plan.tile + 2 * network.halo if plan.tile else side) for side in picture.shape[2:])
    return max(1, plan.memory // network.tile_bytes(height, width))


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "can't allocate memory" in text
        or "not enough memory" in text
        or "out of memory" in text
    )
