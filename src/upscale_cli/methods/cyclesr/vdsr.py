"""The modified VDSR of CycleSR ("Network Architecture"; VDSR: Kim, Lee and Lee, CVPR 2016).

A row of BN-ReLU-Conv blocks on the low-resolution picture, and a pixel shuffle, give what is added to its bilinear
enlargement. When the network is run, each BN but the first is one with the convolution before it.
"""

from itertools import pairwise
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.inference.convolution import Convolution, convolve
from upscale_cli.inference.tiling import WHOLE, Edges
from upscale_cli.methods.cyclesr.config import GeneratorSettings, Padding
from upscale_cli.methods.cyclesr.generator import upsample
from upscale_cli.networks.reduced_precision import reduced

START = 2.0
"""What the first BN adds to begin with: the ReLU behind it would take the darker half of the picture away."""
CALM = 0.1
"""How much smaller than He's the last convolution's numbers begin: the output is nearly the bilinear one then."""


class Kernels(NamedTuple):
    """The network's tensors with every BN folded, in the order in which they are needed.

    gain, offset: (3, 1, 1) float32, what the first BN does to the picture.
    """

    gain: Tensor
    offset: Tensor
    convolutions: tuple[Convolution, ...]
    scale: int

    def residual(self, x: Tensor, edges: Edges = WHOLE) -> Tensor:
        """What is added to the bilinear enlargement: (B, 3, h, w) RGB in [0, 1] -> (B, 3, s h', s w') float32.

        On inner sides h' and w' are smaller by the number of convolutions.
        """
        *convolutions, last = self.convolutions
        features = torch.addcmul(self.offset, x, self.gain).relu_()
        for conv in convolutions:
            features = convolve(features.to(conv.weight.dtype), conv, edges).relu_()
        return F.pixel_shuffle(convolve(features.to(last.weight.dtype), last, edges).float(), self.scale)


class Block(nn.Module):
    """BN, ReLU, 3x3.  The convolution has no bias: BN, or the enlarged picture, has what it could add."""

    def __init__(self, before: int, after: int, padding: Padding) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(before)
        self.conv = nn.Conv2d(before, after, 3, padding=1, padding_mode=padding, bias=False)
        nn.init.kaiming_normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, h, w) -> (B, after, h, w)."""
        out: Tensor = self.conv(F.relu(self.norm(x)))
        return out


class VDSR(nn.Module):
    """(B, 3, h, w) RGB in [0, 1] -> (B, 3, s h, s w) float32, not clipped.

    BN takes the batch's statistics in training mode, the running ones in evaluation mode, as `kernels` does.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.settings = s = settings
        widths = pairwise([3, *[s.features] * (s.depth - 1), 3 * s.scale**2])
        self.body = nn.Sequential(*(Block(before, after, s.padding) for before, after in widths))
        blocks = self._blocks()
        nn.init.constant_(blocks[0].norm.bias, START)
        with torch.no_grad():
            blocks[-1].conv.weight.mul_(CALM)

    @property
    def halo(self) -> int:
        """Input pixels that an output pixel is made of, on each side."""
        return self.settings.depth

    def kernels(self, body: torch.dtype = torch.float32) -> Kernels:
        """The folded tensors of evaluation mode.

        body: dtype of all convolutions but the first, which sees the picture's own levels.
        """
        blocks = self._blocks()
        gain, offset = _affine(blocks[0].norm)
        convolutions = [_before(block.conv, after.norm) for block, after in pairwise(blocks)]
        last = blocks[-1].conv.weight
        convolutions.append(Convolution(last, last.new_zeros(len(last)), self.settings.padding))
        first, *others = convolutions
        reduced = (conv._replace(weight=conv.weight.to(body), bias=conv.bias.to(body)) for conv in others)
        return Kernels(gain[:, None, None], offset[:, None, None], (first, *reduced), self.settings.scale)

    def forward(self, x: Tensor, body: torch.dtype = torch.float32) -> Tensor:
        """y = up(x) + residual(x) of a whole picture."""
        with reduced(x, body):
            residual = self.body(x)
        return upsample(x, self.settings.scale) + F.pixel_shuffle(residual.float(), self.settings.scale)

    def _blocks(self) -> list[Block]:
        return [cast(Block, block) for block in self.body]


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """gain, offset: what BN does in evaluation mode, x * gain + offset, (C,) each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return gain, norm.bias - norm.running_mean * gain


def _before(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Convolution:
    """The convolution and the BN behind it, as one."""
    gain, offset = _affine(norm)
    return Convolution(conv.weight * gain[:, None, None, None], offset, conv.padding_mode)
