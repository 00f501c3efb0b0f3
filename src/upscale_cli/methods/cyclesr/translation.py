"""The first stage: CycleGAN between synthetic and real low resolution, Eq. (2).

Its networks and losses work on RGB in [-1, 1], as CycleGAN's code does; that decides how much L1 weighs beside L_adv.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from upscale_cli.losses.content import content_loss
from upscale_cli.methods.cyclesr.losses import lsgan_discriminator_loss, lsgan_loss
from upscale_cli.methods.cyclesr.training_settings import LossSettings, TranslationSettings
from upscale_cli.networks.image_pool import ImagePool
from upscale_cli.networks.initialisation import normal_
from upscale_cli.networks.patch_discriminator import PatchDiscriminator
from upscale_cli.networks.resnet_generator import ResnetGenerator
from upscale_cli.training.processes import gathered, own_part

Terms = dict[str, Tensor]


class Pictures(NamedTuple):
    """Two batches of low resolution, (B, 3, p, p) RGB in [-1, 1] each: of the synthetic kind and of the real kind."""

    syn: Tensor
    real: Tensor


class Judge(nn.Module):
    """D_r or D_s: PatchGAN, and the translated pictures that it has been shown, which are saved with it."""

    def __init__(self, features: int, patch: int) -> None:
        super().__init__()
        self.D = PatchDiscriminator(features)
        self.pool = ImagePool(patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, p, p) -> (B, 1, ...) scores."""
        scores: Tensor = self.D(x)
        return scores

    def loss(self, real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
        """What it pays, for some of the fakes that it was shown before in place of these; -> scalar."""
        shown = own_part(self.pool.exchange(gathered(fake.float()), rng))
        return lsgan_discriminator_loss(self(real), self(shown))


class Added(nn.Module):
    """A generator that makes what is added to its picture."""

    def __init__(self, change: nn.Module) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1] -> the same shape, not clipped."""
        y: Tensor = x + self.change(x)
        return y


class CycleGAN:
    """The four networks of Eq. (2).  patch: pixels a side of what they are trained on."""

    def __init__(self, settings: TranslationSettings, patch: int) -> None:
        generators = [ResnetGenerator(settings.features, settings.blocks, settings.norm) for _ in range(2)]
        self.G_s2r, self.G_r2s = (Added(generator) if settings.skip else generator for generator in generators)
        self.D_r, self.D_s = (Judge(settings.judge_features, patch) for _ in range(2))
        for network in (self.G_s2r, self.G_r2s, self.D_r, self.D_s):
            normal_(network)

    def translated(self, pictures: Pictures) -> Pictures:
        """Approximated ones of each kind: G_r2s(I_real), G_s2r(I_syn)."""
        return Pictures(self.G_r2s(pictures.real), self.G_s2r(pictures.syn))

    def generator_terms(self, pictures: Pictures, fakes: Pictures, weights: LossSettings) -> Terms:
        """L_1, Eq. (2), what the generators pay, weighted; each term is the sum of both directions.

        fakes: what they have made of `pictures`.
        """
        adversarial = lsgan_loss(self.D_r(fakes.real), real=True) + lsgan_loss(self.D_s(fakes.syn), real=True)
        terms = {"adv": adversarial}
        if weights.cycle:
            back = Pictures(self.G_r2s(fakes.real), self.G_s2r(fakes.syn))
            terms["cyc"] = weights.cycle * _difference(back, pictures)
        if weights.cycle and weights.identity:
            same = Pictures(self.G_r2s(pictures.syn), self.G_s2r(pictures.real))
            terms["idt"] = weights.cycle * weights.identity * _difference(same, pictures)
        return terms

    def discriminator_terms(self, pictures: Pictures, fakes: Pictures, seed: tuple[int, int]) -> Terms:
        """L_adv^D, Eq. (2).  seed: the run's, and the step's number."""
        rngs = [np.random.default_rng((*seed, 0, kind)) for kind in (1, 2)]  # not those that samples are drawn by
        return {
            "d_r": self.D_r.loss(pictures.real, fakes.real, rngs[0]),
            "d_s": self.D_s.loss(pictures.syn, fakes.syn, rngs[1]),
        }

    @torch.no_grad()
    def approximated(self, y: Tensor) -> Tensor:
        """I^_real = G_s2r(I_syn), to look at or to learn from: (B, 3, h, w) RGB in [0, 1] -> the same."""
        self.G_s2r.eval()  # by the statistics that it has learnt, and without learning any
        approximated = to_unit(self.G_s2r(from_unit(y)))
        self.G_s2r.train()
        return approximated


def from_unit(x: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]."""
    return 2 * x - 1


def to_unit(x: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], float32."""
    return (x.float() + 1) / 2


def _difference(a: Pictures, b: Pictures) -> Tensor:
    """The mean absolute difference of each kind, added up."""
    return content_loss(a.syn.float(), b.syn) + content_loss(a.real.float(), b.real)
