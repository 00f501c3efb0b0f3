"""The supervised terms of Eq. (3), L1 (Eq. 7) and TV (Eq. 8), and one of ours. x: the truth, x_hat: G_SR(y)."""

import torch
from torch import Tensor


def content_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_1, Eq. (7): mean |x_hat - x|; (B, 3, H, W) each -> scalar."""
    return (x_hat - x).abs().mean()


def tv_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_tv, Eq. (8): |grad x_hat - grad x| in both directions over the number of values; (B, 3, H, W) each -> scalar.

    Gradient *differences* are compared: it is no total variation of the output.
    """
    difference = x_hat - x
    horizontal = torch.diff(difference, dim=3).abs().sum()
    vertical = torch.diff(difference, dim=2).abs().sum()
    return (horizontal + vertical) / difference.numel()


def flat_pictures(levels: int) -> Tensor:
    """Every combination of `levels` values of red, green and blue over [0, 1], each as a picture of one pixel.

    -> (levels^3, 3, 1, 1).  A network that continues its picture by reflection everywhere sees an endless flat area.
    """
    values = torch.linspace(0, 1, levels)
    return torch.cartesian_prod(values, values, values)[:, :, None, None]
