"""Runs a `StagedNetwork`: every step over all tiles before the next, so that channel attention sees the whole picture.

What other programs do, each tile with the means of its own, is here too (`Plan.local_statistics`), and is measured.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.inference.feature_map import FeatureMap, Passage
from upscale_cli.inference.feature_store import FeatureStore, choose_place, spill_folder
from upscale_cli.inference.network import AnyNetwork, StagedNetwork
from upscale_cli.inference.plan import Plan, Sink
from upscale_cli.inference.self_ensemble import ALL_EIGHT, IDENTITY
from upscale_cli.inference.tile_queue import TileQueue
from upscale_cli.inference.tiling import Box, Tile

LOCAL_HALO = 10
"""Input pixels that a tile with its own means reads beyond what it yields, as in RCAN's official code."""
_COMPARED = 3
"""Sides of the part on which own means are compared with the whole's, in tiles: the middle one has all neighbours."""
_MIB, _GIB = 2**20, 2**30


def upscale_staged(
    network: StagedNetwork, picture: Tensor, sink: Sink, plan: Plan, progress: Callable[[float], None]
) -> list[str]:
    """`upscaler.upscale` for a network whose blocks advance together."""
    if plan.local_statistics and plan.tile:
        deviation = _deviation(network, picture, plan)
        return [*_upscale_local(network, picture, sink, plan, progress), deviation]
    return _upscale_exact(network, picture, sink, plan, progress)


def held_bytes(network: AnyNetwork, height: int, width: int, plan: Plan) -> int:
    """What is kept of the whole picture between steps; with the self-ensemble also the sum of its outputs so far."""
    if not isinstance(network, StagedNetwork) or (plan.local_statistics and plan.tile):
        return 0
    return network.feature_bytes(height, width) + plan.self_ensemble * 12 * height * width * network.scale**2


def spilling(held: int, plan: Plan, device: torch.device) -> tuple[str, ...]:
    """What to tell the user where `held_bytes` do not fit into memory."""
    if choose_place(held, plan.memory, device) != "file":
        return ()
    size = f"{held / _GIB:.1f} GiB" if held >= _GIB else f"{held / _MIB:.0f} MiB"
    return (f"{size} of features do not fit into memory: kept in a temporary file in {spill_folder()}",)


def run_whole(network: StagedNetwork, picture: Tensor) -> Tensor:
    """The network's output for a small picture, (1, 3, h, w) -> (1, 3, scale h, scale w), its features in memory."""
    height, width = picture.shape[2:]
    passage = Passage(picture.device, TileQueue(height, width, 0, 0), FeatureStore("device", picture.device))
    features = network.features(FeatureMap(picture, passage))
    out = picture.new_empty(1, 3, network.scale * height, network.scale * width)
    for tile, part in features.tiles_of(network.pixels, network.halo, network.scale):
        _put(out, _enlarged(tile.inner, network.scale), part)
    return out


def _upscale_exact(
    network: StagedNetwork, picture: Tensor, sink: Sink, plan: Plan, progress: Callable[[float], None]
) -> list[str]:
    height, width = picture.shape[2:]
    scale, device = network.scale, picture.device
    held = held_bytes(network, height, width, plan)
    store = FeatureStore(choose_place(held, plan.memory, device), device)
    symmetries = ALL_EIGHT if plan.self_ensemble else IDENTITY
    sums, _ = store.take(3, scale * height, scale * width, torch.float32) if plan.self_ensemble else (None, None)
    remarks, side = [*spilling(held, plan, device)], plan.tile
    for number, symmetry in enumerate(symmetries):
        turned = symmetry.apply(picture)
        tiles = TileQueue(turned.shape[2], turned.shape[3], side, network.halo)
        steps = _Steps(network.work, partial(_advance, progress, number, len(symmetries)))
        for tile, part in _outputs(network, turned, Passage(device, tiles, store, steps.advanced), steps):
            box = symmetry.undo_box(_enlarged(tile.inner, scale), scale * height, scale * width)
            pixels = symmetry.undo(part)
            if sums is not None:
                here = _crop(sums, box)
                pixels = here.copy_(pixels) if number == 0 else here.add_(pixels.to(here.device))
            if number == len(symmetries) - 1:
                sink(box, pixels / len(symmetries))
        # What was learned of memory holds for the other copies.
        remarks += tiles.remarks
        side = tiles.largest if tiles.remarks else side
    return remarks


def _advance(progress: Callable[[float], None], done: int, count: int, share: float) -> None:
    progress((done + share) / count)


class _Steps:
    """Makes one progress of many steps': `work` is the time of all, in mean steps of `features`."""

    def __init__(self, work: float, report: Callable[[float], None]) -> None:
        self._work = work
        self._report = report
        self._done = 0
        self._weight = 1.0

    def advanced(self, share: float) -> None:
        """The present step is done to this share, in [0, 1]."""
        self._report((self._done + share * self._weight) / self._work)
        self._done += share == 1

    def only_pixels_are_left(self) -> None:
        """The next step is the last."""
        self._weight = self._work - self._done


def _outputs(network: StagedNetwork, picture: Tensor, passage: Passage, steps: _Steps) -> Iterator[tuple[Tile, Tensor]]:
    """The pixels of all tiles; the features are gone with them."""
    features = network.features(FeatureMap(picture, passage))
    steps.only_pixels_are_left()
    yield from features.tiles_of(network.pixels, network.halo, network.scale)


def _upscale_local(
    network: StagedNetwork, picture: Tensor, sink: Sink, plan: Plan, progress: Callable[[float], None]
) -> list[str]:
    symmetries = ALL_EIGHT if plan.self_ensemble else IDENTITY
    height, width = picture.shape[2:]
    tiles, done = TileQueue(height, width, plan.tile, LOCAL_HALO), 0

    def work(tile: Tile) -> Tensor:
        x = _crop(picture, tile.outer)
        mean = torch.stack([s.undo(run_whole(network, s.apply(x))) for s in symmetries]).mean(0)
        (top, bottom, left, right), (above, _, before, _) = tile.inner, tile.outer
        return _crop(mean, _enlarged(Box(top - above, bottom - above, left - before, right - before), network.scale))

    for tile, pixels in tiles.each(work):
        sink(_enlarged(tile.inner, network.scale), pixels)
        done += tile.inner.height * tile.inner.width
        progress(done / (height * width))
    return tiles.remarks


def _deviation(network: StagedNetwork, picture: Tensor, plan: Plan) -> str:
    """What own means change, in words; measured in the middle and where the picture varies most, or on all of it."""
    side = _COMPARED * plan.tile
    whole = max(picture.shape[2:]) <= side
    parts = [picture] if whole else [_middle(picture, side), _busiest(picture, side)]
    off = torch.stack([_own_means_off(network, part, plan).flatten() for part in parts])
    levels = (
        f"each tile took its own means: up to {float(off.max()):.1f} of 255 levels, {float(off.mean()):.2f} on "
        "average, from the exact result"
    )
    if whole:
        return levels
    height, width = parts[0].shape[2:]
    return f"{levels} of {width} x {height} pixels in the middle and as many of another part; elsewhere it may be more"


def _own_means_off(network: StagedNetwork, part: Tensor, plan: Plan) -> Tensor:
    """By how many levels each sample is off, where `part` is all there is."""
    outputs = []
    for run, how in ((_upscale_exact, replace(plan, local_statistics=False)), (_upscale_local, plan)):
        out = part.new_empty(1, 3, *(network.scale * side for side in part.shape[2:]))
        run(network, part, partial(_put, out), how, lambda _: None)
        outputs.append(out)
    return (outputs[0] - outputs[1]).abs() * 255


def _middle(picture: Tensor, side: int) -> Tensor:
    top, left = (max(length - side, 0) // 2 for length in picture.shape[2:])
    return picture[:, :, top : top + side, left : left + side]


def _busiest(picture: Tensor, side: int) -> Tensor:
    """The part of `side` pixels, or less, of the highest variance, every half of it looked at."""
    height, width = (min(side, length) for length in picture.shape[2:])
    step = max(1, side // 2)
    mean, square = (F.avg_pool2d(x, (height, width), step) for x in (picture, picture.square()))
    at = int((square - mean.square()).mean(1).argmax())
    top, left = (step * place for place in divmod(at, mean.shape[3]))
    return picture[:, :, top : top + height, left : left + width]


def _enlarged(box: Box, scale: int) -> Box:
    return Box(*(scale * at for at in box))


def _put(out: Tensor, box: Box, pixels: Tensor) -> None:
    _crop(out, box).copy_(pixels)


def _crop(x: Tensor, box: Box) -> Tensor:
    return x[:, :, box.top : box.bottom, box.left : box.right]
