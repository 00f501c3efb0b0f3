"""The discriminator of SRGAN (Ledig et al. 2017) and ESRGAN (Wang et al. 2018): a network in the manner of VGG."""

from collections.abc import Iterator
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.errors import UsageError

SLOPE = 0.2
"""Of every leaky ReLU."""
HALVINGS = 5
"""Convolutions that halve the picture."""


class VggDiscriminator(nn.Module):
    """Ten convolutions, 3x3 and 4x4 in turn, 64 to 512 maps, then two linear layers.

    features: maps of the first two convolutions.  patch: pixels a side of what is judged.
    Raises UsageError for a patch that cannot be halved five times.
    """

    def __init__(self, features: int = 64, patch: int = 128) -> None:
        super().__init__()
        if patch <= 0 or patch % 2**HALVINGS:
            raise UsageError(
                f"the discriminator halves its pictures {HALVINGS} times, and a patch of {patch} pixels cannot be",
                f"a multiple of {2**HALVINGS} high-resolution pixels",
            )
        widths = [features * min(2**stage, 8) for stage in range(HALVINGS)]
        for stage, (before, width) in enumerate(pairwise([3, *widths])):
            # The first convolution has a bias and no batch norm, all others a batch norm and no bias.
            self.add_module(f"conv{stage}_0", nn.Conv2d(before, width, 3, padding=1, bias=stage == 0))
            if stage > 0:
                self.add_module(f"bn{stage}_0", nn.BatchNorm2d(width))
            self.add_module(f"conv{stage}_1", nn.Conv2d(width, width, 4, stride=2, padding=1, bias=False))
            self.add_module(f"bn{stage}_1", nn.BatchNorm2d(width))
        self.linear1 = nn.Linear(widths[-1] * (patch // 2**HALVINGS) ** 2, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, patch, patch) -> (B, 1) logits, before the sigmoid."""
        *_, logits = self.stages(x)
        return logits

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """What follows each convolution's leaky ReLU, the finest first, and last the logits."""
        yield (x := F.leaky_relu(self._layer("conv0_0", x), SLOPE))
        yield (x := self._normed("0_1", x))
        for stage in range(1, HALVINGS):
            yield (x := self._normed(f"{stage}_0", x))
            yield (x := self._normed(f"{stage}_1", x))
        yield self.linear2(F.leaky_relu(self.linear1(x.flatten(1)), SLOPE))

    def _normed(self, place: str, x: Tensor) -> Tensor:
        return F.leaky_relu(self._layer(f"bn{place}", self._layer(f"conv{place}", x)), SLOPE)

    def _layer(self, name: str, x: Tensor) -> Tensor:
        out: Tensor = self.get_submodule(name)(x)
        return out
