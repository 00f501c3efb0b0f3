"""G of RWSR (section 3.2.1): RCAN, the residual channel attention network (Zhang et al., ECCV 2018).

Everything in this room works on RGB in [0, 255], as the official code does; `network.py` is the door where [0, 1] is
rescaled. Beyond the picture's border every convolution finds what `padding` says.

The network is a row of steps on feature maps, each a function: `head`; for each block `residual`, and what `attention`
makes of its means; `joined` at the end of a group and of the body; `reconstruct`, in a file of its own. A step computes
a tile as a part of the whole picture: its convolutions are *valid* on inner sides, so its output is smaller there by
the halo that is named. Only `attention` needs the whole picture, the mean of every feature over it.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from upscale_cli.inference.convolution import Convolution, convolution_of, convolve
from upscale_cli.inference.tiling import WHOLE, Edges
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.reconstruction import Reconstruction, reconstruct

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Of DIV2K, in [0, 1]: what a new network takes away first and adds last. A checkpoint brings its own."""
HEAD_HALO, RESIDUAL_HALO, TAIL_HALO = 1, 2, 1
"""Pixels that `head`, `residual` and the convolution at the end of a group or of the body eat on an inner side."""


class Attention(NamedTuple):
    """Channel attention's two layers on the means of all features, (reduced, features, 1, 1) and back."""

    squeeze: Convolution
    excite: Convolution


class Block(NamedTuple):
    """A residual channel attention block's tensors."""

    conv1: Convolution
    conv2: Convolution
    attention: Attention


class Group(NamedTuple):
    """A residual group's tensors."""

    blocks: tuple[Block, ...]
    tail: Convolution


class Kernels(NamedTuple):
    """The network's tensors, in the order in which they are needed."""

    sub_mean: Convolution
    head: Convolution
    groups: tuple[Group, ...]
    body_tail: Convolution
    reconstruction: Reconstruction


class ChannelAttention(nn.Module):
    """Weights each feature by what the means of all features say; holds parameters under their official names."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        middle = features // reduction
        self.conv_du = nn.Sequential(
            nn.Conv2d(features, middle, 1), nn.ReLU(), nn.Conv2d(middle, features, 1), nn.Sigmoid()
        )


class RCAB(nn.Module):
    """Residual channel attention block: 3x3, ReLU, 3x3, channel attention, added to what came in."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        features = settings.features
        self.body = nn.Sequential(
            _conv3x3(features, features, settings),
            nn.ReLU(),
            _conv3x3(features, features, settings),
            ChannelAttention(features, settings.reduction),
        )


class ResidualGroup(nn.Module):
    """Blocks and a convolution, added to what came in."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        blocks = (RCAB(settings) for _ in range(settings.blocks))
        self.body = nn.Sequential(*blocks, _conv3x3(settings.features, settings.features, settings))


class Generator(nn.Module):
    """RCAN with the official parameter names; (B, 3, h, w) RGB in [0, 255] -> (B, 3, s h, s w), not clipped.

    The mean shift is no layer to learn here. The official code meant that too, but trained it: its checkpoints hold
    other values than the defaults, and they are used.
    """

    def __init__(self, settings: GeneratorSettings | None = None) -> None:
        super().__init__()
        self.settings = s = settings or GeneratorSettings()
        self.sub_mean = _mean_shift(-1)
        self.add_mean = _mean_shift(1)
        self.head = nn.Sequential(_conv3x3(3, s.features, s))
        groups = (ResidualGroup(s) for _ in range(s.groups))
        self.body = nn.Sequential(*groups, _conv3x3(s.features, s.features, s))
        self.tail = nn.Sequential(_upsampler(s), _conv3x3(s.features, 3, s))

    def kernels(self, body: torch.dtype = torch.float32) -> Kernels:
        """The tensors of all steps; differentiable, so that training and inference share one network.

        body: dtype of the groups and what follows. The head and channel attention's own layers keep float32.
        """
        *groups, body_tail = self.body
        upsampler, last = self.tail
        return Kernels(
            sub_mean=convolution_of(self.sub_mean),
            head=convolution_of(self.head[0]),
            groups=tuple(_group_tensors(group, body) for group in groups),
            body_tail=convolution_of(body_tail, body),
            reconstruction=Reconstruction(
                tuple(convolution_of(layer, body) for layer in upsampler.children() if isinstance(layer, nn.Conv2d)),
                _shifted(convolution_of(last), convolution_of(self.add_mean)),
            ),
        )

    def forward(self, x: Tensor, body: torch.dtype = torch.float32) -> Tensor:
        """y = G(x) of a whole picture."""
        kernels = self.kernels(body)
        features = shallow = head(x, kernels)
        for group in kernels.groups:
            start = features
            for block in group.blocks:
                deep = residual(features, block)
                weights = attention(deep.mean((2, 3), dtype=torch.float32), block)
                features = torch.addcmul(features, deep, weights.to(deep.dtype))
            features = joined(features, start, group.tail)
        return reconstruct(joined(features, shallow, kernels.body_tail), kernels.reconstruction)


def head(x: Tensor, kernels: Kernels, edges: Edges = WHOLE) -> Tensor:
    """Mean shift and first convolution: (B, 3, h, w) RGB in [0, 255] -> (B, features, h', w') in the body's dtype."""
    # Not folded into the convolution: that finds zeros beyond the border, and the mean shift makes others of them.
    x = convolve(x, kernels.sub_mean)
    return convolve(x, kernels.head, edges).to(kernels.body_tail.weight.dtype)


def residual(features: Tensor, block: Block, edges: Edges = WHOLE) -> Tensor:
    """3x3, ReLU, 3x3: (B, features, h, w) -> the same, smaller by RESIDUAL_HALO on inner sides."""
    return convolve(convolve(features, block.conv1, edges).relu_(), block.conv2, edges)


def attention(means: Tensor, block: Block) -> Tensor:
    """Channel attention's weights in (0, 1), float32: (B, features) -> (B, features, 1, 1).

    means: of `residual`'s output over the whole picture, in float32 or float64.
    """
    squeeze, excite = block.attention
    middle = convolve(means.float()[:, :, None, None], squeeze).relu_()
    return torch.sigmoid(convolve(middle, excite))


def joined(features: Tensor, start: Tensor, tail: Convolution) -> Tensor:
    """The end of a group, or of the body: a convolution of what was made of `start`, added to it."""
    return start + convolve(features, tail)


def _conv3x3(before: int, after: int, settings: GeneratorSettings) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, padding_mode=settings.padding)


def _upsampler(s: GeneratorSettings) -> nn.Sequential:
    """x2 as often as needed, or x3 once; names of tensors are the official ones."""
    layers: list[nn.Module] = []
    for step in [3] if s.scale == 3 else [2] * (s.scale.bit_length() - 1):
        layers += [_conv3x3(s.features, step**2 * s.features, s), nn.PixelShuffle(step)]
    return nn.Sequential(*layers)


def _mean_shift(sign: int) -> nn.Conv2d:
    shift = nn.Conv2d(3, 3, 1).requires_grad_(False)
    shift.weight.copy_(torch.eye(3)[:, :, None, None])
    assert shift.bias is not None
    shift.bias.copy_(sign * 255 * torch.tensor(RGB_MEAN))
    return shift


def _shifted(conv: Convolution, shift: Convolution) -> Convolution:
    """The convolution with a 1x1 convolution behind it, as one."""
    matrix = shift.weight.flatten(1)
    return conv._replace(weight=torch.tensordot(matrix, conv.weight, 1), bias=matrix @ conv.bias + shift.bias)


def _group_tensors(group: nn.Module, dtype: torch.dtype) -> Group:
    *blocks, tail = cast(ResidualGroup, group).body
    return Group(tuple(_block_tensors(cast(RCAB, block), dtype) for block in blocks), convolution_of(tail, dtype))


def _block_tensors(block: RCAB, dtype: torch.dtype) -> Block:
    conv1, _, conv2, channel_attention = block.body
    squeeze, _, excite, _ = cast(ChannelAttention, channel_attention).conv_du
    weights = Attention(convolution_of(squeeze), convolution_of(excite))
    return Block(convolution_of(conv1, dtype), convolution_of(conv2, dtype), weights)
