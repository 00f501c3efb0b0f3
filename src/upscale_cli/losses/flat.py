"""What a network does to flat colours, of which photographs hold few, and hardly any saturated ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from upscale_cli.losses.content import content_loss

FLAT_LEVELS = (0.0, 3.0, 8.0, 20.0, 60.0, 128.0, 200.0, 255.0)
"""Grey levels of each colour among the flat pictures, densest near black, where noise that is clipped teaches a network
to brighten or darken."""


def flat_pictures(side: int = 1) -> Tensor:
    """Every combination of FLAT_LEVELS for red, green and blue, each as a picture -> (512, 3, side, side)."""
    levels = torch.tensor(FLAT_LEVELS)
    return torch.cartesian_prod(levels, levels, levels)[:, :, None, None].repeat(1, 1, side, side)


def flat_loss(network: Callable[[Tensor], Tensor], flat: Tensor) -> Tensor:
    """Ours: mean |G(c) - c| over flat pictures c, (B, 3, n, n) RGB in [0, 255]; -> scalar, unweighted.

    network: G, (B, 3, n, n) -> (B, 3, s n, s n). It must continue its picture with the picture's own pixels wherever it
    pads: so a pixel or a few are an endless flat area to it.
    """
    return content_loss(network(flat), flat[:, :, :1, :1])
