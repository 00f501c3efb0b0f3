"""The terms of Eq. (2) and (4) that only this room has, each a scalar without its weight."""

from torch import Tensor


def lsgan_loss(scores: Tensor, *, real: bool) -> Tensor:
    """L_adv, Eq. (2), by LSGAN (Mao et al. 2017): mean (D - 1)^2, or mean D^2 where D should say fake; -> scalar.

    scores: a discriminator's output of any shape.
    """
    return (scores.float() - float(real)).square().mean()


def lsgan_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """L_adv^D, Eq. (2): what a discriminator pays, half of both, as CycleGAN's code does to slow it down; -> scalar."""
    return (lsgan_loss(real, real=True) + lsgan_loss(fake, real=False)) / 2
