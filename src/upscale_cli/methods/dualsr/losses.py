"""The terms of DualSR's Eq. (3) to (7), their weights apart."""

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.methods.dualsr.downsampler import shaved
from upscale_cli.methods.dualsr.imresize import doubled


def gan_loss(scores: Tensor, *, real: bool) -> Tensor:
    """Least squares, Eq. (3) and (4): mean (D(.) - 1)^2 for what shall look real, mean D(.)^2 for what shall not."""
    return ((scores - float(real)) ** 2).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """L_D of Eq. (4), halved as in the released code.  real, fake: scores."""
    return (gan_loss(real, real=True) + gan_loss(fake, real=False)) / 2


def cycle_loss(restored: Tensor, original: Tensor) -> Tensor:
    """One of the two terms of Eq. (5): mean |there and back - original|, where valid convolutions left anything."""
    return F.l1_loss(restored, shaved(original, restored))


def masked_interpolation_loss(fake_hr: Tensor, lr: Tensor) -> Tensor:
    """L_interp, Eq. (7): mean |(G_UP(x) - Bicubic(x)) f_mask| over all pixels.

    fake_hr: G_UP(x), (B, 3, 2h, 2w).  lr: x, (B, 3, h, w) in [0, 1].
    """
    bicubic = doubled(lr)
    return ((fake_hr - bicubic) * frequency_mask(bicubic)).abs().mean()


def frequency_mask(bicubic: Tensor) -> Tensor:
    """f_mask, Eq. (6): 1 - Sobel(Bicubic(x)), in [0, 1], of each channel (B, C, H, W)."""
    return 1 - sobel(bicubic).clamp(0, 1)


def sobel(x: Tensor) -> Tensor:
    """The length of the Sobel gradient, not normalised, zeros beyond the border: (B, C, H, W) -> the same."""
    smooth, slope = x.new_tensor([1.0, 2.0, 1.0]), x.new_tensor([-1.0, 0.0, 1.0])
    kernels = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])[:, None]
    planes = F.conv2d(x.reshape(-1, 1, *x.shape[2:]), kernels, padding=1)
    return planes.square().sum(1).sqrt().reshape(x.shape)
