"""G_l2h, whichever network it is: what both offer, and the bilinear enlargement that both add their detail to.

Everything in this room works on RGB in [0, 1].
"""

from typing import Protocol

import torch
from torch import Tensor

from upscale_cli.inference.tiling import WHOLE, Edges
from upscale_cli.methods.cyclesr.config import GeneratorSettings


class Kernels(Protocol):
    """A network's tensors as it is run: nested tuples of them."""

    def residual(self, x: Tensor, edges: Edges = WHOLE) -> Tensor:
        """What is added to the bilinear enlargement: (B, 3, h, w) RGB in [0, 1] -> (B, 3, s h', s w') float32.

        On inner sides h' and w' are smaller by the network's halo.
        """


class Generator(Protocol):
    """A network, `vdsr.VDSR` or `srresnet.SRResNet`."""

    settings: GeneratorSettings

    @property
    def halo(self) -> int:
        """Input pixels that an output pixel is made of, on each side."""

    def kernels(self, body: torch.dtype = torch.float32) -> Kernels:
        """The tensors of evaluation mode.  body: dtype of all convolutions but the first."""


def upsample(x: Tensor, scale: int) -> Tensor:
    """Bilinear, half-pixel centres: (B, 3, h, w) -> (B, 3, s h, s w).  An output pixel is made of the nearest 2 x 2.

    As `F.interpolate`, but to the last bit the same for each pixel wherever a tile begins, by threes too.
    """
    return _enlarged(_enlarged(x, scale, 2), scale, 3)


def _enlarged(x: Tensor, scale: int, side: int) -> Tensor:
    length = x.shape[side]
    before = torch.cat([x.narrow(side, 0, 1), x.narrow(side, 0, length - 1)], side)
    after = torch.cat([x.narrow(side, 1, length - 1), x.narrow(side, length - 1, 1)], side)
    # Where each output pixel lies from the middle of its input pixel, in input pixels.
    offsets = [(2 * i + 1 - scale) / (2 * scale) for i in range(scale)]
    parts = [torch.lerp(x, before if offset < 0 else after, abs(offset)) for offset in offsets]
    return torch.stack(parts, side + 1).flatten(side, side + 1)
