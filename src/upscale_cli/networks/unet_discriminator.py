"""The discriminator of Real-ESRGAN (Wang et al. 2021, section 3.3): a U-Net, a logit for each pixel."""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
"""Of every leaky ReLU."""
HALVINGS = 3
"""Convolutions that halve the picture."""


class UNetDiscriminator(nn.Module):
    """Ten convolutions with the official names: down by three of stride 2, up by bilinear resizing and additive skips.

    All but the first and the last have spectral norm (Miyato et al. 2018): a discriminator that cannot change fast lets
    the generator follow, and none of its layers looks at the rest of the batch.
    features: maps of the first convolution, doubled up to eight times as many.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, features, 3, padding=1)
        self.conv1 = _normed(features, 2 * features, 4, stride=2)
        self.conv2 = _normed(2 * features, 4 * features, 4, stride=2)
        self.conv3 = _normed(4 * features, 8 * features, 4, stride=2)
        self.conv4 = _normed(8 * features, 4 * features, 3)
        self.conv5 = _normed(4 * features, 2 * features, 3)
        self.conv6 = _normed(2 * features, features, 3)
        self.conv7 = _normed(features, features, 3)
        self.conv8 = _normed(features, features, 3)
        self.conv9 = nn.Conv2d(features, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), multiples of 8 -> (B, 1, H, W) logits, before the sigmoid."""
        *_, logits = self.stages(x)
        return logits

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """What follows each convolution's leaky ReLU, skips not yet added, and last the logits."""
        skips = []
        for down in (self.conv0, self.conv1, self.conv2, self.conv3):
            yield (x := F.leaky_relu(down(x), SLOPE))
            skips.append(x)
        del skips[-1]
        for up in (self.conv4, self.conv5, self.conv6):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            yield (x := F.leaky_relu(up(x), SLOPE))
            x = x + skips.pop()
        for last in (self.conv7, self.conv8):
            yield (x := F.leaky_relu(last(x), SLOPE))
        yield self.conv9(x)


def _normed(before: int, width: int, side: int, stride: int = 1) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, width, side, stride, padding=1, bias=False))
