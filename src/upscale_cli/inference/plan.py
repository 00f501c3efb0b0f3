"""How a picture is run: tile, memory, ensemble."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from upscale_cli.inference.network import AnyNetwork, StagedNetwork
from upscale_cli.inference.tile_queue import SMALLEST_TILE
from upscale_cli.inference.tiling import Box

CACHE_BYTES = 256 * 1024**2
"""A tile's activations on a CPU where tiles overlap: smaller ones leave the cache less, but compute more halo."""
STAGED_CACHE_BYTES = 12 * 1024**2
"""The same where blocks advance together, whose tiles hardly overlap."""
Sink = Callable[[Box, Tensor], None]
"""Takes a tile's place, in output pixels, and its pixels (1, 3, h, w) in [0, 1]."""


@dataclass(frozen=True)
class Plan:
    """How a picture is run.  tile: the largest side in input pixels, 0 for the whole.  memory: bytes for activations
    and what is kept between tiles.  self_ensemble: the mean over eight symmetries.  local_statistics: each tile takes
    what should be known of the whole picture from itself (a `StagedNetwork` only).  once: each tile reaches the sink
    once, and is computed twice for that where partial results do not fit into memory."""

    tile: int = 0
    memory: int = 2 * 1024**3
    self_ensemble: bool = False
    local_statistics: bool = False
    once: bool = False


def choose_tile(network: AnyNetwork, device: torch.device, height: int, width: int, memory: int) -> int:
    """The tile for `auto`: what is quickest on a CPU, or what a quarter of a GPU's memory holds; 0 for the whole.

    On the machines we measured, activations of about CACHE_BYTES or STAGED_CACHE_BYTES are quickest.
    """
    room = memory // 4
    if device.type == "cpu":
        room = min(room, STAGED_CACHE_BYTES if isinstance(network, StagedNetwork) else CACHE_BYTES)
    unit = 64
    side = int(unit * (room / network.tile_bytes(unit, unit)) ** 0.5)
    tile = max(side, SMALLEST_TILE)
    return 0 if tile >= max(height, width) else tile
