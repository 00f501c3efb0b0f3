"""How far a picture is from the truth, in its pixels and in what VGG-19 sees.  RGB in [0, 255]; scalars, unweighted."""

from collections.abc import Callable

import torch
from torch import Tensor


def content_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_1 (SRResCycGAN, Eq. (7); RWSR, 3.2.2): mean |x_hat - x|; (B, 3, H, W) each -> scalar."""
    return (x_hat - x).abs().mean()


def perceptual_loss(x_hat: Tensor, x: Tensor, phi: Callable[[Tensor], Tensor]) -> Tensor:
    """L_per (SRResCycGAN, Eq. (4); RWSR's L_p, 3.2.2): mean |phi(x_hat) - phi(x)|; (B, 3, H, W) each -> scalar.

    phi: RGB in [0, 1] -> features of VGG-19, its own normalisation included.
    """
    with torch.no_grad():
        target = phi(x / 255).float()
    return (phi(x_hat / 255).float() - target).abs().mean()
