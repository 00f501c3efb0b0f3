"""The first stage: CycleGAN between synthetic and real low resolution, Eq. (2).

Its networks and losses work on RGB in [-1, 1], as CycleGAN's code does; that decides how much L1 weighs beside L_adv.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.losses.content import content_loss
from upscale_cli.methods.cyclesr.losses import lsgan_discriminator_loss, lsgan_loss
from upscale_cli.methods.cyclesr.training_settings import LossSettings, TranslationSettings
from upscale_cli.networks.high_frequencies import high_frequencies
from upscale_cli.networks.image_pool import ImagePool
from upscale_cli.networks.initialisation import he_, normal_
from upscale_cli.networks.patch_discriminator import SLOPE, Norm, PatchDiscriminator
from upscale_cli.networks.resnet_generator import ResnetGenerator
from upscale_cli.training.processes import gathered, own_part

Terms = dict[str, Tensor]
GRAIN = 16
"""Features from which noise's strength is told."""
HASTE = 8.0
"""By what that strength learns quicker than the rate of a whole generator lets it."""
MEAN = 9
"""Pixels a side over which low frequencies are the mean."""
DETAIL = 8.0
"""By what high frequencies are multiplied, which then fill about as much of [-1, 1] as pictures do."""


class Pictures(NamedTuple):
    """Two batches of low resolution, (B, 3, p, p) RGB in [-1, 1] each: of the synthetic kind and of the real kind."""

    syn: Tensor
    real: Tensor


class Fakes(NamedTuple):
    """What the translators have made of a batch.

    given: what is made again and learnt from. It is `real`, but its noise is not moved by what becomes of it: noise
    cannot be told again, so that every loss but the discriminator's would rather have none.
    """

    syn: Tensor
    real: Tensor
    given: Tensor


class Judge(nn.Module):
    """D_r or D_s: PatchGAN, and the translated pictures that it has been shown, which are saved with it."""

    def __init__(self, settings: TranslationSettings, patch: int) -> None:
        super().__init__()
        self.D = PatchDiscriminator(settings.judge_features, settings.judge_norm, settings.judge_halvings)
        self.pool = ImagePool(patch, patch)
        self._high_pass = settings.judge_high_pass

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, p, p) in [-1, 1] -> (B, 1, ...) scores."""
        if self._high_pass:
            x = DETAIL * (high_frequencies(x, MEAN, count_border=False) - 0.5)
        scores: Tensor = self.D(x)
        return scores

    def loss(self, real: Tensor, fake: Tensor, rng: np.random.Generator) -> Tensor:
        """What it pays, for some of the fakes that it was shown before in place of these; -> scalar."""
        shown = own_part(self.pool.exchange(gathered(fake.float()), rng))
        return lsgan_discriminator_loss(self(real), self(shown))


class Grain(nn.Module):
    """A camera's noise: each pixel's is its own, and its strength depends on the picture's colour."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Conv2d(GRAIN, 3, 1)
        self.strength = nn.Sequential(nn.Conv2d(3, GRAIN, 1), nn.ReLU(), last)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, -3.5 / HASTE)  # four grey levels

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1], and standard normal noise like it -> what is to be added."""
        return F.softplus(HASTE * self.strength(x)) * z


class Translator(nn.Module):
    """A generator otherwise than CycleGAN's: see `TranslationSettings.skip`, `.skip_high_pass` and `.noise`."""

    def __init__(self, generator: ResnetGenerator, settings: TranslationSettings, *, noise: bool) -> None:
        super().__init__()
        self.generator = generator
        self.grain = Grain() if noise else None
        self._skip = settings.skip
        self._high_pass = settings.skip_high_pass
        if settings.skip:
            *_, last = (layer for layer in generator.modules() if isinstance(layer, nn.Conv2d))
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1] -> the same shape, without noise, with `skip` not clipped."""
        y: Tensor = self.generator(x)
        if self._high_pass:
            y = 2 * (high_frequencies(y, MEAN, count_border=False) - 0.5)
        return x + y if self._skip else y


class CycleGAN:
    """The four networks of Eq. (2).  patch: pixels a side of what they are trained on."""

    def __init__(self, settings: TranslationSettings, patch: int) -> None:
        self.G_s2r, self.G_r2s = _generator(settings, noise=settings.noise), _generator(settings, noise=False)
        self.D_r, self.D_s = (Judge(settings, patch) for _ in range(2))
        for judge in (self.D_r, self.D_s):
            _initialise(judge, settings.judge_norm, SLOPE)

    def translated(self, pictures: Pictures, z: Tensor | None = None) -> Fakes:
        """Approximated ones of each kind: G_r2s(I_real), G_s2r(I_syn).  z: `noise` for those, where G_s2r adds some."""
        return Fakes(self.G_r2s(pictures.real), *self._spoilt(pictures.syn, z))

    def generator_terms(self, pictures: Pictures, fakes: Fakes, weights: LossSettings) -> Terms:
        """L_1, Eq. (2), what the generators pay, weighted; each term is the sum of both directions.

        fakes: what they have made of `pictures`.
        """
        adversarial = lsgan_loss(self.D_r(fakes.real), real=True) + lsgan_loss(self.D_s(fakes.syn), real=True)
        terms = {"adv": adversarial}
        if weights.cycle:
            back = Pictures(self.G_r2s(fakes.given), self.G_s2r(fakes.syn))
            terms["cyc"] = weights.cycle * _difference(back, pictures)
        if weights.cycle and weights.identity:
            same = Pictures(self.G_r2s(pictures.syn), self.G_s2r(pictures.real))
            terms["idt"] = weights.cycle * weights.identity * _difference(same, pictures)
        return terms

    def discriminator_terms(self, pictures: Pictures, fakes: Pictures | Fakes, seed: tuple[int, int]) -> Terms:
        """L_adv^D, Eq. (2).  seed: the run's, and the step's number."""
        rngs = [np.random.default_rng((*seed, 0, kind)) for kind in (1, 2)]  # not those that samples are drawn by
        return {
            "d_r": self.D_r.loss(pictures.real, fakes.real, rngs[0]),
            "d_s": self.D_s.loss(pictures.syn, fakes.syn, rngs[1]),
        }

    @torch.no_grad()
    def approximated(self, y: Tensor, z: Tensor | None = None) -> Tensor:
        """I^_real = G_s2r(I_syn), to look at or to learn from: (B, 3, h, w) RGB in [0, 1] -> the same.

        z: `noise` for it; without any always the same.
        """
        self.G_s2r.eval()  # by the statistics that it has learnt, and without learning any
        approximated = to_unit(self._spoilt(from_unit(y), noise(y.shape, (0,)) if z is None else z)[0])
        self.G_s2r.train()
        return approximated

    def _spoilt(self, x: Tensor, z: Tensor | None) -> tuple[Tensor, Tensor]:
        """`Fakes.real` and `Fakes.given`."""
        y = self.G_s2r(x)
        if z is None or not isinstance(self.G_s2r, Translator) or self.G_s2r.grain is None:
            return y, y
        added = self.G_s2r.grain(y, z.to(y))
        return y + added, y + added.detach()


def _generator(settings: TranslationSettings, *, noise: bool) -> nn.Module:
    generator = ResnetGenerator(settings.features, settings.blocks, settings.norm, settings.halvings)
    _initialise(generator, settings.norm)
    return Translator(generator, settings, noise=noise) if settings.skip or noise else generator


def _initialise(network: nn.Module, norm: Norm, slope: float = 0.0) -> None:
    if norm == "none":
        he_(network, slope)
    else:
        normal_(network)


def noise(shape: Sequence[int], seed: tuple[int, ...]) -> Tensor:
    """Standard normal numbers in `shape`."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def from_unit(x: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]."""
    return 2 * x - 1


def to_unit(x: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], float32."""
    return (x.float() + 1) / 2


def _difference(a: Pictures, b: Pictures) -> Tensor:
    """The mean absolute difference of each kind, added up."""
    return content_loss(a.syn.float(), b.syn) + content_loss(a.real.float(), b.real)
