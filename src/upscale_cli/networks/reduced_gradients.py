"""Convolutions in float32 whose gradients are found in fewer bits: exact losses, and a quick way back from them."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def convolved(x: Tensor, convolutions: Sequence[nn.Conv2d], gradients: torch.dtype) -> Tensor:
    """`convolutions`, of stride 1, with ReLU between them: (B, C, H, W) -> (B, C', H', W'), both float32.

    gradients: the number format in which those of x, of the weights and of the biases are computed, and what they need
    is kept. In bfloat16 those of DualSR's upsampler are less than one per cent off.
    """
    paddings = [layer.padding for layer in convolutions]
    parameters = [parameter for layer in convolutions for parameter in (layer.weight, layer.bias)]
    result: Tensor = _Convolved.apply(x, gradients, paddings, *parameters)  # type: ignore[no-untyped-call]
    return result


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: torch.dtype, paddings: list[list[int]], *parameters: Tensor) -> Tensor:
        weights = [weight.contiguous(memory_format=torch.channels_last) for weight in parameters[::2]]
        x = x.contiguous(memory_format=torch.channels_last)
        given = []
        for layer, (weight, bias, padding) in enumerate(zip(weights, parameters[1::2], paddings, strict=True)):
            x = x.relu_() if layer else x
            given.append(x.to(bits))
            x = F.conv2d(x, weight, bias, padding=padding)
        ctx.paddings = paddings
        ctx.save_for_backward(*given, *(weight.to(bits) for weight in weights))
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        layers = len(ctx.paddings)
        given, weights = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        found: list[Tensor | None] = []
        reached = gradient.to(given[0].dtype, memory_format=torch.channels_last)
        for layer in reversed(range(layers)):
            x, weight, padding = given[layer], weights[layer], ctx.paddings[layer]
            wanted = [layer > 0 or ctx.needs_input_grad[0], True, True]
            reached, *own = torch.ops.aten.convolution_backward(
                reached, x, weight, weight.shape[:1], [1, 1], padding, [1, 1], False, [0, 0], 1, wanted
            )
            found = [*(own_gradient.float() for own_gradient in own), *found]
            if layer:
                reached = torch.ops.aten.threshold_backward(reached, x, 0)
        return (None if reached is None else reached.float(), None, None, *found)
