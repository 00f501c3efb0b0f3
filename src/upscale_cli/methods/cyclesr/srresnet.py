"""SRResNet (Ledig et al., CVPR 2017) as MSRResNet, its form without batch norm that ESRGAN's authors released.

A convolution, residual blocks, pixel shuffles and two convolutions at high resolution give what is added to the
bilinear enlargement. Names of tensors are the official ones.
"""

from math import isqrt, prod
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.inference.borders import inner
from upscale_cli.inference.convolution import Convolution, convolution_of, convolve
from upscale_cli.inference.tiling import WHOLE, Box, Edges, plan_tiles
from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.methods.cyclesr.generator import upsample

SLOPE = 0.1
"""Of every leaky ReLU."""
CALM = 0.1
"""How much smaller than He's all numbers begin, as released."""
TAIL_HALO = 2
"""Input pixels on each side, rounded up, that the pixel shuffles' convolutions and the two behind them look at."""
PART = 48
"""Input pixels a side that are enlarged at once: there feature maps are largest, and there a halo is cheap."""


class Kernels(NamedTuple):
    """The network's tensors in the order in which they are needed.

    blocks: the two convolutions of each.  enlarging: one before each pixel shuffle.  fine: at high resolution.
    """

    first: Convolution
    blocks: tuple[tuple[Convolution, Convolution], ...]
    enlarging: tuple[Convolution, ...]
    fine: Convolution
    last: Convolution

    def residual(self, x: Tensor, edges: Edges = WHOLE) -> Tensor:
        """What is added to the bilinear enlargement: (B, 3, h, w) RGB in [0, 1] -> (B, 3, s h', s w') float32.

        On inner sides h' and w' are smaller by `SRResNet.halo`.
        """
        features = self._deep(x, edges)
        height, width = inner(features, TAIL_HALO, edges).shape[2:]
        if max(height, width) <= PART:
            return self._enlarged(features, edges)
        y = x.new_empty(len(x), 3, self.scale * height, self.scale * width)
        for box, _, frame in plan_tiles(height, width, PART, 0):
            here = Edges(*(its and ours for its, ours in zip(frame.edges, edges, strict=True)))
            part = self._enlarged(_with_halo(features, box, edges, here), here)
            top, bottom, left, right = (self.scale * side for side in box)
            y[:, :, top:bottom, left:right] = part
        return y

    @property
    def scale(self) -> int:
        """By how much the pixel shuffles enlarge together."""
        return prod(_step(conv) for conv in self.enlarging)

    def _deep(self, x: Tensor, edges: Edges) -> Tensor:
        """What the residual blocks make of the picture."""
        features = _leaky(convolve(x, self.first, edges)).to(self.last.weight.dtype)
        for conv1, conv2 in self.blocks:
            deep = convolve(convolve(features, conv1, edges).relu_(), conv2, edges)
            features = deep.add_(inner(features, 2, edges))
        return features

    def _enlarged(self, features: Tensor, edges: Edges) -> Tensor:
        """Of all features, or of a part of them: the residual, smaller by TAIL_HALO on inner sides."""
        scale, eaten = 1, 0
        for conv in self.enlarging:
            features = F.pixel_shuffle(_leaky(convolve(features, conv, edges)), _step(conv))
            scale, eaten = scale * _step(conv), (eaten + 1) * _step(conv)
        features = _leaky(convolve(features, self.fine, edges))
        return inner(convolve(features, self.last, edges).float(), TAIL_HALO * scale - (eaten + 2), edges)


class ResidualBlock(nn.Module):
    """3x3, ReLU, 3x3, added to what came in; holds parameters under their official names."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.conv1 = _conv3x3(settings.features, settings.features, settings)
        self.conv2 = _conv3x3(settings.features, settings.features, settings)


class SRResNet(nn.Module):
    """(B, 3, h, w) RGB in [0, 1] -> (B, 3, s h, s w) float32, not clipped."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.settings = s = settings
        self.conv_first = _conv3x3(3, s.features, s)
        self.body = nn.Sequential(*(ResidualBlock(s) for _ in range(s.depth)))
        # x3 is one step, x4 two of x2.
        self.upconv1 = _conv3x3(s.features, s.features * (9 if s.scale == 3 else 4), s)
        if s.scale == 4:
            self.upconv2 = _conv3x3(s.features, s.features * 4, s)
        self.conv_hr = _conv3x3(s.features, s.features, s)
        self.conv_last = _conv3x3(s.features, 3, s)

    @property
    def halo(self) -> int:
        """Input pixels that an output pixel is made of, on each side."""
        return 1 + 2 * self.settings.depth + TAIL_HALO

    def kernels(self, body: torch.dtype = torch.float32) -> Kernels:
        """The tensors; differentiable, so that training and inference share one network.

        body: dtype of all convolutions but the first, which sees the picture's own levels.
        """
        blocks = [cast(ResidualBlock, block) for block in self.body]
        enlarging = [self.upconv1, self.upconv2] if self.settings.scale == 4 else [self.upconv1]
        return Kernels(
            first=convolution_of(self.conv_first),
            blocks=tuple((convolution_of(block.conv1, body), convolution_of(block.conv2, body)) for block in blocks),
            enlarging=tuple(convolution_of(conv, body) for conv in enlarging),
            fine=convolution_of(self.conv_hr, body),
            last=convolution_of(self.conv_last, body),
        )

    def forward(self, x: Tensor, body: torch.dtype = torch.float32) -> Tensor:
        """y = up(x) + residual(x) of a whole picture."""
        return upsample(x, self.settings.scale) + self.kernels(body).residual(x)


def _conv3x3(before: int, after: int, settings: GeneratorSettings) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, 3, padding=1, padding_mode=settings.padding)
    nn.init.kaiming_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(CALM)
        cast(Tensor, conv.bias).zero_()
    return conv


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE, inplace=True)


def _step(conv: Convolution) -> int:
    """By how much the pixel shuffle behind it enlarges."""
    return isqrt(conv.weight.shape[0] // conv.weight.shape[1])


def _with_halo(features: Tensor, box: Box, edges: Edges, here: Edges) -> Tensor:
    """What `box` of the inner part is made of.  edges, here: which sides of the tile, of the box, are borders."""
    top, left = TAIL_HALO * (not edges.top), TAIL_HALO * (not edges.left)
    rows = slice(top + box.top - TAIL_HALO * (not here.top), top + box.bottom + TAIL_HALO * (not here.bottom))
    columns = slice(left + box.left - TAIL_HALO * (not here.left), left + box.right + TAIL_HALO * (not here.right))
    return features[:, :, rows, columns]
