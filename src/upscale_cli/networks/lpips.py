"""LPIPS v0.1 (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018)."""

import torch
from torch import Tensor, nn

from upscale_cli.networks.alexnet import SMALLEST_SIDE, WIDTHS, AlexNet
from upscale_cli.networks.imagenet import Normalise

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""The published normalisation of values in [-1, 1]."""
EPSILON = 1e-10
"""Added to a feature vector's norm."""


class LpipsHead(nn.Module):
    """How much each feature counts: the published weights w_l, learned from people's judgements."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.ModuleList(nn.Conv2d(width, 1, 1, bias=False) for width in WIDTHS)

    def forward(self, first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
        """Each layer's share of the distance, Eq. (1): weighted squared differences, their mean over places; (B,)."""
        pairs = zip(self.lin, first, second, strict=True)
        return [weigh((_unit(a) - _unit(b)).square()).mean((1, 2, 3)) for weigh, a, b in pairs]


class Lpips(nn.Module):
    """The perceptual distance of two pictures: 0 where they are the same, about 1 where they have nothing in common."""

    def __init__(self, trunk: AlexNet, head: LpipsHead) -> None:
        super().__init__()
        self.normalise = Normalise(SHIFT, SCALE)
        self.trunk, self.head = trunk, head

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """RGB in [0, 1], (B, 3, H, W) both -> (B,).  Raises ValueError for pictures too small for AlexNet."""
        if min(a.shape[2:]) < SMALLEST_SIDE:
            raise ValueError(f"LPIPS needs at least {SMALLEST_SIDE} pixels a side, not {tuple(a.shape[2:])}")
        first, second = (self.trunk(self.normalise(2 * x - 1)) for x in (a, b))
        return torch.stack(self.head(first, second)).sum(0)


def _unit(features: Tensor) -> Tensor:
    """Each place's feature vector at length one; (B, C, H, W)."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + EPSILON)
