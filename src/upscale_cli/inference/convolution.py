"""A convolution of a tile as a part of the whole picture's: what networks of several rooms are run by."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.inference.borders import padded
from upscale_cli.inference.tiling import WHOLE, Edges


class Convolution(NamedTuple):
    """A convolution's tensors, and what it finds beyond the picture's border (`nn.Conv2d.padding_mode`)."""

    weight: Tensor
    bias: Tensor
    padding: str = "zeros"


def convolve(x: Tensor, conv: Convolution, edges: Edges = WHOLE) -> Tensor:
    """A convolution that is padded beyond the picture's border and valid on inner sides."""
    weight, bias, padding = conv
    margin = weight.shape[-1] // 2
    if padding != "zeros":
        return F.conv2d(padded(x, margin, edges, padding), weight, bias)
    if edges.left == edges.right and edges.top == edges.bottom:  # what the convolution itself can do, without a copy
        return F.conv2d(x, weight, bias, padding=(margin * edges.top, margin * edges.left))
    return F.conv2d(padded(x, margin, edges), weight, bias)


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
