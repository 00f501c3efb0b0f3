"""How a tile's convolutions treat its sides: continued where the picture ends, shrinking where a neighbour goes on."""

import torch.nn.functional as F
from torch import Tensor

from upscale_cli.inference.tiling import Edges


def padded(x: Tensor, margin: int, edges: Edges, mode: str = "constant") -> Tensor:
    """`x` continued by `margin` pixels on the sides that are borders of the picture; (B, C, H, W).

    mode: as of `torch.nn.functional.pad`, zeros unless told.
    """
    sides = [margin * edge for edge in (edges.left, edges.right, edges.top, edges.bottom)]
    return F.pad(x, sides, mode=mode) if any(sides) else x


def inner(x: Tensor, margin: int, edges: Edges) -> Tensor:
    """`x` without `margin` pixels on the sides that valid convolutions have eaten; (B, C, H, W)."""
    left, right, top, bottom = (margin * (not edge) for edge in (edges.left, edges.right, edges.top, edges.bottom))
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
