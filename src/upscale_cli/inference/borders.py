"""How a tile's convolutions treat its sides: continued where the picture ends, shrinking where a neighbour goes on."""

import torch.nn.functional as F
from torch import Tensor

from upscale_cli.inference.tiling import Edges, Frame


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


def trimmed(upsampled: Tensor, frame: Frame, radius: int, scale: int) -> tuple[Tensor, list[int]]:
    """An upsampled tile without the part of its halo that no output pixel reads, and what the network's output is then
    larger by than the inner box, (left, right, top, bottom) in output pixels.

    radius: output pixels that the network's valid convolutions eat.  scale: output pixels per input pixel of `frame`.
    """
    halo = [scale * side for side in frame[:4]]
    cut = [0 if edge else side - radius for side, edge in zip(halo, frame.edges, strict=True)]
    margins = [side if edge else 0 for side, edge in zip(halo, frame.edges, strict=True)]
    return cropped(upsampled, cut), margins


def cropped(x: Tensor, sides: list[int]) -> Tensor:
    """`x` (B, C, H, W) without (left, right, top, bottom) pixels."""
    left, right, top, bottom = sides
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
