"""The terms of Eq. (2) and (4) that only this room has, and one of ours, each a scalar without its weight."""

import torch.nn.functional as F
from torch import Tensor

GRID_WINDOW = 10
"""Blocks a side over which a place within them is averaged: enough that what the picture shows there evens out."""


def lsgan_loss(scores: Tensor, *, real: bool) -> Tensor:
    """L_adv, Eq. (2), by LSGAN (Mao et al. 2017): mean (D - 1)^2, or mean D^2 where D should say fake; -> scalar.

    scores: a discriminator's output of any shape.
    """
    return (scores.float() - float(real)).square().mean()


def lsgan_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """L_adv^D, Eq. (2): what a discriminator pays, half of both, as CycleGAN's code does to slow it down; -> scalar."""
    return (lsgan_loss(real, real=True) + lsgan_loss(fake, real=False)) / 2


def mse_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_mse, Eq. (4): mean (x_hat - x)^2; (B, 3, H, W) RGB in [0, 1] each -> scalar."""
    return F.mse_loss(x_hat.float(), x)


def grid_loss(x_hat: Tensor, x: Tensor, scale: int) -> Tensor:
    """Ours: how much one place within a block of `scale` x `scale` pixels differs from the others in what it is off by.

    The mean square, over windows of GRID_WINDOW x GRID_WINDOW blocks, of each place's mean error less that of all
    places. Detail falls anywhere in a block, so that an error which always falls on the same place is the pattern of a
    network that makes all pixels of a block at once. An adversarial loss lets such patterns pass.

    x_hat, x: (B, C, s h, s w), of any range -> scalar, in that range squared.
    """
    batch, channels = x.shape[:2]
    errors = F.pixel_unshuffle(x_hat - x, scale)
    means = F.avg_pool2d(errors, [min(GRID_WINDOW, side) for side in errors.shape[2:]])
    means = means.reshape(batch, channels, scale**2, -1)
    return (means - means.mean(2, keepdim=True)).square().mean()
