"""Against the pattern that a network leaves which makes all pixels of a block at once, and that a GAN lets pass."""

import torch.nn.functional as F
from torch import Tensor

WINDOW = 10
"""Blocks a side over which a place within them is averaged: enough that what the picture shows there evens out."""


def grid_loss(x_hat: Tensor, x: Tensor, scale: int) -> Tensor:
    """Ours: how much one place within a block of `scale` x `scale` pixels differs from the others in what it is off by.

    The mean square, over windows of WINDOW x WINDOW blocks, of each place's mean error less that of all places. Detail
    falls anywhere in a block; an error that always falls on the same place is a pattern.

    x_hat, x: (B, C, s h, s w), of any range -> scalar, in that range squared.
    """
    batch, channels = x.shape[:2]
    errors = F.pixel_unshuffle(x_hat - x, scale)
    means = F.avg_pool2d(errors, [min(WINDOW, side) for side in errors.shape[2:]])
    means = means.reshape(batch, channels, scale**2, -1)
    return (means - means.mean(2, keepdim=True)).square().mean()
