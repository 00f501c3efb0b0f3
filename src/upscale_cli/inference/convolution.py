"""A convolution of a tile as a part of the whole picture's: what networks of several rooms are run by."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.inference.borders import inner, padded
from upscale_cli.inference.tiling import WHOLE, Edges

_LARGE = 200
"""Side from which a CPU takes longer to copy a map with a border than to compute the border's pixels anew."""


class Convolution(NamedTuple):
    """A convolution's tensors, and what it finds beyond the picture's border (`nn.Conv2d.padding_mode`)."""

    weight: Tensor
    bias: Tensor
    padding: str = "zeros"


def convolve(x: Tensor, conv: Convolution, edges: Edges = WHOLE) -> Tensor:
    """A convolution that is padded beyond the picture's border and valid on inner sides."""
    weight, bias, padding = conv
    margin = weight.shape[-1] // 2
    if padding != "zeros" and margin:
        if x.device.type == "cpu" and min(x.shape[2:]) >= _LARGE and not torch.is_grad_enabled():
            return _without_copy(x, conv, edges)
        return F.conv2d(padded(x, margin, edges, padding), weight, bias)
    if edges.left == edges.right and edges.top == edges.bottom:  # what the convolution itself can do, without a copy
        return F.conv2d(x, weight, bias, padding=(margin * edges.top, margin * edges.left))
    return F.conv2d(padded(x, margin, edges), weight, bias)


def _without_copy(x: Tensor, conv: Convolution, edges: Edges) -> Tensor:
    """The same for large maps: with zeros beyond every side, then the pixels along borders anew."""
    weight, bias, padding = conv
    margin = weight.shape[-1] // 2
    out = inner(F.conv2d(x, weight, bias, padding=margin), margin, edges)
    for side, border in enumerate(edges):  # left, right, top, bottom
        if not border:
            continue
        axis, last = 2 if side >= 2 else 3, side % 2
        strip = x.narrow(axis, last * (x.shape[axis] - 2 * margin), 2 * margin)
        ends = Edges(*(edge and (n == side or n // 2 != side // 2) for n, edge in enumerate(edges)))
        pixels = F.conv2d(padded(strip, margin, ends, padding), weight, bias)
        out.narrow(axis, last * (out.shape[axis] - margin), margin).copy_(pixels)
    return out


def convolution_of(layer: nn.Module, dtype: torch.dtype = torch.float32) -> Convolution:
    """The tensors of an `nn.Conv2d` with a bias, in `dtype`; differentiable."""
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return Convolution(layer.weight.to(dtype), layer.bias.to(dtype), layer.padding_mode)


def placed(tensors: Any, device: torch.device) -> Any:
    """The same nested tuples, with every tensor on `device` and kernels in the layout that convolves fastest."""
    if isinstance(tensors, Tensor):
        tensors = tensors.detach().to(device)
        return tensors.contiguous(memory_format=torch.channels_last) if tensors.ndim == 4 else tensors
    if isinstance(tensors, tuple):
        parts = [placed(part, device) for part in tensors]
        return type(tensors)._make(parts) if hasattr(tensors, "_make") else tuple(parts)
    return tensors
