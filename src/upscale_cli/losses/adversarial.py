"""What generator and discriminator pay for each other, from logits C, a discriminator's output before the sigmoid.

Everything is computed in float32 whatever comes in, which rounding would spoil.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.training.processes import mean_over_processes

R1_EVERY = 4
"""Steps of which one has the penalty R1, that many times as strong ("lazy", StyleGAN2: 16)."""


class Stages(Protocol):
    """A discriminator that shows what it sees."""

    def stages(self, x: Tensor) -> Iterable[Tensor]:
        """x: (B, 3, H, W).  Its features, the finest first, and last the logits."""


def judged(D: Stages, fake: Tensor, real: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What D sees in fake and in real pictures, stage by stage, logits last; only the fake ones' have a gradient."""
    # The fake first: each call moves a batch norm's running statistics.
    seen = list(D.stages(fake))
    with torch.no_grad():
        return seen, list(D.stages(real))


def gan_loss(logits: Tensor, *, real: bool) -> Tensor:
    """Mean -log sigmoid(C), or -log(1 - sigmoid(C)) where C should say fake; logits of any shape -> scalar."""
    logits = logits.float()
    return F.softplus(-logits if real else logits).mean()


def relativistic(logits: Tensor, others: Tensor) -> Tensor:
    """The sigmoid's argument in D_R (SRResCycGAN, Eq. (5)): C(x) - E[C(x_hat)]; (B, ...) each -> (B, ...).

    The mean is taken over the batch, that of all processes. A patch discriminator's logits are compared place by place.
    """
    return logits.float() - mean_over_processes(others.float().mean(0, keepdim=True))


def ragan_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """L_RaGAN (SRResCycGAN, Eq. (6); RWSR, Eq. (4)): what the generator pays; C(x), C(x_hat), (B, ...) -> scalar."""
    return gan_loss(relativistic(real, fake), real=False) + gan_loss(relativistic(fake, real), real=True)


def ragan_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The same with real and fake exchanged: what the discriminator pays; arguments as in `ragan_generator_loss`."""
    return ragan_generator_loss(fake, real)


def r1_terms(D: Callable[[Tensor], Tensor], real: Tensor, gamma: float, step: int) -> dict[str, Tensor]:
    """R1 (Mescheder et al. 2018, Eq. (9)): gamma / 2 times the mean squared norm of D's gradient at real pictures.

    D: what is judged (B, 3, H, W) -> logits (B, ...), whose mean over places counts.  Few steps have it: `R1_EVERY`.
    """
    if not gamma or step % R1_EVERY:
        return {}
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(real).flatten(1).mean(1).sum(), real, create_graph=True)
    return {"r1": R1_EVERY * gamma / 2 * gradient.square().flatten(1).sum(1).mean()}
