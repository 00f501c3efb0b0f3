"""How far a picture is from the truth, in its pixels and in what networks see in it.

RGB in [0, 255]; scalars, unweighted.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def content_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_1 (SRResCycGAN, Eq. (7); RWSR, 3.2.2): mean |x_hat - x|; (B, 3, H, W) each -> scalar."""
    return (x_hat - x).abs().mean()


def mse_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_mse (CycleSR, Eq. (4)): mean (x_hat - x)^2, of any range; (B, 3, H, W) each -> scalar."""
    return F.mse_loss(x_hat.float(), x)


def perceptual_loss(x_hat: Tensor, x: Tensor, phi: Callable[[Tensor], Tensor]) -> Tensor:
    """L_per (SRResCycGAN, Eq. (4); RWSR's L_p, 3.2.2): mean |phi(x_hat) - phi(x)|; (B, 3, H, W) each -> scalar.

    phi: RGB in [0, 1] -> features of VGG-19, its own normalisation included.
    """
    with torch.no_grad():
        target = phi(x / 255).float()
    return (phi(x_hat / 255).float() - target).abs().mean()


def feature_matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """L_FM (pix2pixHD, Wang et al. 2018, Eq. (4)): mean |D_i(x_hat) - D_i(x)|, the mean over D's stages; -> scalar.

    fake, real: what the discriminator D makes of x_hat and x, stage by stage, its logits left out.
    """
    differences = [(a.float() - b.float()).abs().mean() for a, b in zip(fake, real, strict=True)]
    return torch.stack(differences).mean()
