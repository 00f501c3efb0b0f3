"""G_DN of DualSR, KernelGAN's generator (section 4): a deep linear network, and the one kernel that it amounts to."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 13
"""Side of the effective kernel."""
STRIDE = 2


class Downsampler(nn.Module):
    """G_DN with the official parameter names: 7x7, 5x5, 3x3, and three 1x1, without bias or activation between them.

    (B, 3, H, W) RGB -> (B, 3, (H - 13) // 2 + 1, ...), each channel on its own.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.first_layer = nn.Conv2d(1, features, 7, bias=False)
        self.feature_block = nn.Sequential(
            nn.Conv2d(features, features, 5, bias=False),
            nn.Conv2d(features, features, 3, stride=STRIDE, bias=False),
            nn.Conv2d(features, features, 1, bias=False),
            nn.Conv2d(features, features, 1, bias=False),
        )
        self.final_layer = nn.Conv2d(features, 1, 1, bias=False)

    @torch.no_grad()
    def initialise(self) -> None:
        """Random weights of mean and deviation 1 / n: the kernel begins near a mean of sum 1 (released code)."""
        for weight in self.parameters():
            weight.normal_(1 / weight[0].numel(), 1 / weight[0].numel())

    def kernel(self) -> Tensor:
        """The kernel k, (13, 13), with G_DN(x) = `downsample(x, k)`; differentiable.

        Composed from the last layer backwards, where there is one channel, it costs next to nothing, and learning by it
        is learning by the whole network: both have the same gradients.
        """
        conv7, conv5, conv3, *small = self.parameters()
        row = torch.linalg.multi_dot([weight.flatten(1) for weight in reversed(small)])
        composed = torch.einsum("o,oihw->ihw", row[0], conv3)[None]
        for weight in (conv5, conv7):
            composed = F.conv_transpose2d(composed, weight)
        return composed[0, 0]

    def forward(self, x: Tensor) -> Tensor:
        """The downsampled picture."""
        return downsample(x, self.kernel())


def downsample(x: Tensor, kernel: Tensor) -> Tensor:
    """(B, C, H, W) correlated with `kernel` (K, K), each channel on its own, valid, every second row and column."""
    batch, channels, height, width = x.shape
    planes = F.conv2d(x.reshape(-1, 1, height, width), kernel[None, None], stride=STRIDE)
    return planes.reshape(batch, channels, *planes.shape[2:])


def shaved(x: Tensor, like: Tensor) -> Tensor:
    """The middle of `x` (B, C, H, W) that is as large as `like`."""
    top, left = ((mine - other) // 2 for mine, other in zip(x.shape[2:], like.shape[2:], strict=True))
    return x[:, :, top : top + like.shape[2], left : left + like.shape[3]]
