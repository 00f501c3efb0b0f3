"""The discriminators of section 3.3: D_x judges high-resolution pictures, D_y judges patches of low-resolution ones.

Both take RGB in [0, 255], as everything in this room does, and return C of Eq. (5), the raw output before the sigmoid.
Both look at high frequencies only, as in the released code: colours and levels are the business of the other losses.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.errors import UsageError

SLOPE = 0.2
"""Of every leaky ReLU."""
HALVINGS = 5
"""Convolutions of D_x that halve the picture."""


class DiscriminatorX(nn.Module):
    """D_x (section 3.3): ten convolutions, 3x3 and 4x4 in turn, 64 to 512 maps, then two linear layers.

    Parameters have the released names.  features: maps of the first two convolutions.  patch: pixels a side of what is
    judged; the released network knows 128 only.  high_pass: judge high frequencies only, as released, and not levels.
    Raises UsageError for a patch that cannot be halved five times.
    """

    def __init__(self, features: int = 64, patch: int = 128, *, high_pass: bool = True) -> None:
        super().__init__()
        if patch <= 0 or patch % 2**HALVINGS:
            raise UsageError(
                f"D_x halves its pictures {HALVINGS} times, and a patch of {patch} pixels cannot be",
                f"a multiple of {2**HALVINGS} high-resolution pixels",
            )
        self.high_pass = high_pass
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
        """C(x): (B, 3, patch, patch) RGB in [0, 255] -> (B, 1) logits."""
        # In grey levels, and with the zeros beyond the border counted, as released: values reach +-127.
        x = high_frequencies(x, 9, count_border=True) if self.high_pass else x / 255
        x = F.leaky_relu(self._layer("conv0_0", x), SLOPE)
        x = self._normed("0_1", x)
        for stage in range(1, HALVINGS):
            x = self._normed(f"{stage}_1", self._normed(f"{stage}_0", x))
        logits: Tensor = self.linear2(F.leaky_relu(self.linear1(x.flatten(1)), SLOPE))
        return logits

    def _normed(self, place: str, x: Tensor) -> Tensor:
        return F.leaky_relu(self._layer(f"bn{place}", self._layer(f"conv{place}", x)), SLOPE)

    def _layer(self, name: str, x: Tensor) -> Tensor:
        out: Tensor = self.get_submodule(name)(x)
        return out


class DiscriminatorY(nn.Module):
    """D_y (section 3.3): three 5x5 convolutions of 64, 128 and 256 maps, and a last one to a single map (a PatchGAN).

    It is DSGAN's, whose code was released with SRResCGAN's: no stride, so each logit judges 13x13 pixels, no batch norm
    behind the first convolution, and a 1x1 kernel last.  features, high_pass: as in `DiscriminatorX`.
    """

    def __init__(self, features: int = 64, *, high_pass: bool = True) -> None:
        super().__init__()
        self.high_pass = high_pass
        self.net = nn.Sequential(
            nn.Conv2d(3, features, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(features, 2 * features, 5, padding=2),
            nn.BatchNorm2d(2 * features),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * features, 4 * features, 5, padding=2),
            nn.BatchNorm2d(4 * features),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(4 * features, 1, 1),
        )

    def forward(self, y: Tensor) -> Tensor:
        """C(y): (B, 3, h, w) RGB in [0, 255] -> (B, 1, h, w), a logit for the patch around each pixel."""
        y = y / 255
        logits: Tensor = self.net(high_frequencies(y, 5, count_border=False) if self.high_pass else y)
        return logits


def high_frequencies(x: Tensor, size: int, *, count_border: bool) -> Tensor:
    """0.5 + 0.5 (x - mean of size x size pixels); (B, 3, H, W) in any range -> float32 of the same shape.

    count_border: whether zeros beyond the border count in the mean; if not, it is that of the pixels which are there.
    """
    x = x.float()
    mean = F.avg_pool2d(x, size, stride=1, padding=size // 2, count_include_pad=count_border)
    return 0.5 + 0.5 * (x - mean)
