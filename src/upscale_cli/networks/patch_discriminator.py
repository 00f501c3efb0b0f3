"""PatchGAN, the discriminator of pix2pix and CycleGAN (Isola et al. 2017, Zhu et al. 2017): a logit for each place."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

SLOPE = 0.2
"""Of every leaky ReLU."""
HALVINGS = 3
"""Convolutions that halve the picture, unless told otherwise: a logit sees 70 x 70 pixels."""
Norm = Literal["instance", "batch", "none"]


def smallest_judged(halvings: int = HALVINGS) -> int:
    """Pixels a side that leave a logit."""
    return 3 << halvings


class PatchDiscriminator(nn.Module):
    """4x4 convolutions, all but the last two of stride 2, with the official parameter names.

    features: maps of the first convolution, doubled up to eight times as many.
    norm: of all layers but the first and the last; instance norm has neither parameters nor a memory.  (none: ours.)
    halvings: a logit sees 16 pixels with one, 34 with two, 70 with three, 142 with four.
    CycleGAN's initialisation is `normal_` of `networks/initialisation.py`.
    """

    def __init__(self, features: int = 64, norm: Norm = "instance", halvings: int = HALVINGS) -> None:
        super().__init__()
        widths = [features * min(2**stage, 8) for stage in range(halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, features, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        for stage, (before, width) in enumerate(pairwise(widths), start=1):
            stride = 2 if stage < halvings else 1
            # Batch norm has a bias of its own; the official code keeps the convolution's before instance norm.
            layers.append(nn.Conv2d(before, width, 4, stride, padding=1, bias=norm != "batch"))
            layers += [*normalisation(width, norm), nn.LeakyReLU(SLOPE)]
        self.model = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, H / 2**halvings - 2, ...) logits, before the sigmoid."""
        out: Tensor = self.model(x)
        return out

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """What follows each leaky ReLU, the finest first, and last the logits."""
        for layer in self.model:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                yield x
        yield x


def normalisation(width: int, norm: Norm) -> list[nn.Module]:
    """The layer that normalises `width` maps, if any."""
    if norm == "none":
        return []
    return [nn.InstanceNorm2d(width) if norm == "instance" else nn.BatchNorm2d(width)]
