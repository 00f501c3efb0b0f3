"""G_LR of SRResCycGAN (section 3.3): from a high-resolution picture back to a low-resolution one, for Eq. (9)."""

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of every leaky ReLU."""


class LRGenerator(nn.Module):
    """G_LR: three convolutions of which two have stride 2, residual blocks, three convolutions.

    The paper leaves open kernel sizes, activation and normalisation. Here: 7x7 at both ends and 3x3 between, leaky
    ReLU, reflection as in G_SR, and no normalisation, which would lose the levels that the cycle is to restore.
    features: maps of every convolution but the last.  blocks: residual blocks (section 3.3: 6).
    """

    def __init__(self, features: int = 64, blocks: int = 6) -> None:
        super().__init__()
        act = nn.LeakyReLU(SLOPE)
        self.head = nn.Sequential(
            *(_convolution(3, features, 7), act),
            *(_convolution(features, features, 3, stride=2), act),
            *(_convolution(features, features, 3, stride=2), act),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.tail = nn.Sequential(
            *(_convolution(features, features, 3), act),
            *(_convolution(features, features, 3), act),
            _convolution(features, 3, 7),
        )

    def forward(self, x: Tensor) -> Tensor:
        """y' = G_LR(x): (B, 3, 4h, 4w) RGB in [0, 255], h and w at least 4 -> (B, 3, h, w) float32, not clipped."""
        y: Tensor = self.tail(self.blocks(self.head(x / 255)))
        return y.float() * 255


class ResidualBlock(nn.Module):
    """x + conv(LeakyReLU(conv(x))), 3x3 each."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = _convolution(features, features, 3)
        self.conv2 = _convolution(features, features, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, h, w) -> the same shape."""
        out: Tensor = self.conv2(F.leaky_relu(self.conv1(x), SLOPE))
        return x + out


def _convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride, padding=size // 2, padding_mode="reflect")
