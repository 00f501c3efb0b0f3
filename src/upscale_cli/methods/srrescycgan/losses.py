"""The terms of Eq. (3) and (10) that only this room has, and some of ours, each a scalar without its weight.

x: the truth, x_hat: G_SR(y), RGB in [0, 255].  What rounding would spoil is computed in float32 whatever comes in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.losses.content import content_loss


def tv_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_tv, Eq. (8): |grad x_hat - grad x| in both directions over the number of values; (B, 3, H, W) each -> scalar.

    Gradient *differences* are compared: it is no total variation of the output.
    """
    difference = x_hat - x
    horizontal = torch.diff(difference, dim=3).abs().sum()
    vertical = torch.diff(difference, dim=2).abs().sum()
    return (horizontal + vertical) / difference.numel()


def cycle_loss(y_prime: Tensor, y: Tensor) -> Tensor:
    """L_cyc, Eq. (9): mean |y' - y| with y' = G_LR(G_SR(y)); (B, 3, h, w) each -> scalar."""
    return content_loss(y_prime.float(), y.float())


def colour_loss(y: Tensor, target: Tensor) -> Tensor:
    """DSGAN's colour loss: mean difference of 5x5 means, which noise and compression hardly change; -> scalar.

    y, target: (B, 3, h, w), h and w at least 5.
    """
    return content_loss(*(F.avg_pool2d(side.float(), 5, stride=1) for side in (y, target)))
