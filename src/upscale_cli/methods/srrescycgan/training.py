"""SRResCycGAN's training, Eq. (3) and (10): which terms there are is what the recipe gives a weight.

With L1 and TV alone G_SR learns by itself. The adversarial term brings in D_x, the cycle G_LR, and D_y judges what G_LR
makes. With a folder of real photos without partners, G_LR learns to spoil pictures as that camera does (DSGAN's
objective, which section 4.1 takes its training data from), and G_SR learns from what it spoils.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.degradation.operations import Pixels
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.losses.adversarial import ragan_discriminator_loss, ragan_generator_loss
from upscale_cli.losses.content import content_loss, perceptual_loss
from upscale_cli.losses.flat import flat_loss, flat_pictures
from upscale_cli.losses.similarity import ms_ssim_loss, ssim_loss
from upscale_cli.methods.srrescycgan.discriminator import DiscriminatorX, DiscriminatorY
from upscale_cli.methods.srrescycgan.generator import SCALE, Generator
from upscale_cli.methods.srrescycgan.losses import colour_loss, cycle_loss, tv_loss
from upscale_cli.methods.srrescycgan.lr_generator import LRGenerator
from upscale_cli.methods.srrescycgan.training_settings import TrainingSettings
from upscale_cli.networks.reduced_precision import PRECISIONS, reduced
from upscale_cli.training.datasets import Batch, draw_batch
from upscale_cli.training.pictures import load_pictures
from upscale_cli.training.trainable import Group, Update, Validation
from upscale_cli.training.validation import Validator
from upscale_cli.weights.checkpoint import Trained, write_model

__all__ = ["TrainingSettings", "prepare"]

Terms = dict[str, Tensor]
N = TypeVar("N", bound=nn.Module)


class Training:
    """A SRResCycGAN recipe ready to run (a `Trainable`).

    phi: VGG-19's features for `loss.per`, RGB in [0, 1] -> features.
    Raises UsageError, PictureError for pictures that cannot be trained on.
    """

    def __init__(
        self, settings: TrainingSettings, message: Callable[[str], None], phi: nn.Module | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self._dtype = PRECISIONS[settings.precision]
        self._phi = phi
        self._pictures = load_pictures(settings.data, SCALE, settings.patch, message)
        self._validator = Validator(self._pictures.validation, self._degraded, settings.seed, SCALE)
        loss, judge, from_source = settings.loss, settings.discriminator, settings.data.source is not None
        self.network = self.G_SR = Generator(settings.generator)
        self.G_LR = self.D_x = self.D_y = None
        if loss.cyc or loss.gan_lr or from_source:
            self.G_LR = _convolving(LRGenerator(settings.lr_generator.features, settings.lr_generator.blocks))
        if loss.gan:
            patch = SCALE * settings.patch
            self.D_x = _convolving(DiscriminatorX(judge.features, patch, high_pass=judge.high_pass))
        if loss.gan_lr or from_source:
            self.D_y = _convolving(DiscriminatorY(judge.features, high_pass=judge.high_pass))
        generators = _present({"G_SR": self.G_SR, "G_LR": self.G_LR})
        self.groups = {"generators": Group(generators, settings.optimiser)}
        if judges := _present({"D_x": self.D_x, "D_y": self.D_y}):
            self.groups["discriminators"] = Group(judges, settings.optimiser, adversary=True)

    def draw(self, step: int, samples: range) -> Batch:
        """Paired patches of section 3.5, and patches of the source domain where the recipe has one."""
        s = self.settings
        return draw_batch(self._pictures, s.data, s.seed, step, samples, s.patch, SCALE, self._degraded)

    def step(self, number: int, batch: Batch, update: Update) -> None:
        """The generators by Eq. (3) or (10), then the discriminators on the same fakes, as in the released code."""
        x = _grey_levels(batch.hr)
        real_y = _grey_levels(batch.lr if batch.source is None else batch.source)
        spoilt = None if batch.source is None else self._to_lr(x)
        y = real_y if spoilt is None else spoilt.detach().clamp(0, 255).round()
        learns = spoilt is None or number >= self.settings.source.warmup
        x_hat = self.G_SR(y, self._dtype) if learns else None
        cycles = self.settings.loss.cyc or (self.D_y is not None and spoilt is None)
        y_prime = self._to_lr(x_hat) if x_hat is not None and cycles else None
        fake_y = y_prime if spoilt is None else spoilt

        terms: Terms = {} if x_hat is None else self._supervised_terms(x_hat, x)
        if y_prime is not None and self.settings.loss.cyc:
            terms["cyc"] = self.settings.loss.cyc * cycle_loss(y_prime, y)
        if spoilt is not None:
            terms["source"] = self.settings.source.colour * colour_loss(spoilt, _bicubic(x))
        if self.D_x is not None and x_hat is not None:
            terms["gan"] = self.settings.loss.gan * self._as_real(self.D_x, x_hat, x)
        if self.D_y is not None and fake_y is not None:
            weight = self.settings.loss.gan_lr if spoilt is None else self.settings.source.gan
            terms["gan_lr"] = weight * self._as_real(self.D_y, fake_y, real_y)
        update("generators", terms)

        judged: Terms = {}
        if self.D_x is not None and x_hat is not None:
            judged["d_x"] = self._told_apart(self.D_x, x_hat, x)
        if self.D_y is not None and fake_y is not None:
            judged["d_y"] = self._told_apart(self.D_y, fake_y, real_y)
        if judged:
            update("discriminators", judged)

    def validate(self, network: nn.Module) -> Validation:
        """See `Validator`."""
        return self._validator(network, self._dtype)

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """The generator under the official names, as safetensors; its metadata suffice to build it again.

        Raises ResourceError, WeightsError where `path` cannot be written.
        """
        s = self.settings
        options = s.generator.model_dump(mode="json")
        about = Trained(s.method, SCALE, options, s.name, step)
        write_model(network.state_dict(), path, about)

    def _supervised_terms(self, x_hat: Tensor, x: Tensor) -> Terms:
        """Those that compare with the truth or with the input alone, weighted."""
        w = self.settings.loss
        terms = {"l1": w.l1 * content_loss(x_hat, x), "tv": w.tv * tv_loss(x_hat, x)}
        if self._phi is not None:
            with reduced(x, self._dtype):
                terms["per"] = w.per * perceptual_loss(x_hat, x, self._phi.to(x.device))
        if w.ssim:
            terms["ssim"] = w.ssim * ssim_loss(x_hat, x)
        if w.msssim:
            terms["msssim"] = w.msssim * ms_ssim_loss(x_hat, x)
        if w.flat:
            terms["flat"] = w.flat * flat_loss(partial(self.G_SR, body=self._dtype), flat_pictures().to(x.device))
        return terms

    def _to_lr(self, x: Tensor) -> Tensor:
        """G_LR(x)."""
        assert self.G_LR is not None
        with reduced(x, self._dtype):
            y: Tensor = self.G_LR(x)
        return y

    def _as_real(self, judge: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
        """L_RaGAN, Eq. (6)."""
        with reduced(fake, self._dtype):
            # The fake first, as released: each call moves the batch norm's running statistics.
            c_fake = judge(fake)
            with torch.no_grad():
                c_real = judge(real)
            return ragan_generator_loss(c_real, c_fake)

    def _told_apart(self, judge: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
        """Eq. (6) with real and fake exchanged."""
        with reduced(fake, self._dtype):
            return ragan_discriminator_loss(judge(real), judge(fake.detach()))

    def _degraded(self, hr: Pixels, rng: np.random.Generator) -> Pixels:
        return degrade(hr, SCALE, self.settings.degradation, rng)


def prepare(settings: TrainingSettings, message: Callable[[str], None]) -> Training:
    """The recipe ready to run: pictures decoded, networks initialised by the seed, VGG-19 at hand where it is needed.

    Raises UsageError, PictureError for pictures that cannot be trained on, WeightsError where VGG-19 cannot be had.
    """
    if not settings.loss.per:
        return Training(settings, message)
    from upscale_cli.weights.features import vgg19_for_training  # most recipes do without

    return Training(settings, message, vgg19_for_training("configs/srrescycgan-aim.toml"))


def _convolving(network: N) -> N:
    """The network with its kernels in the layout that convolves fastest."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _present(networks: Mapping[str, nn.Module | None]) -> dict[str, nn.Module]:
    return {name: network for name, network in networks.items() if network is not None}


def _grey_levels(side: Tensor) -> Tensor:
    """[0, 1] -> [0, 255], as this room works in, in the layout that convolves fastest."""
    return side.mul(255).contiguous(memory_format=torch.channels_last)


def _bicubic(x: Tensor) -> Tensor:
    """(B, 3, 4h, 4w) -> (B, 3, h, w)."""
    return F.interpolate(x, scale_factor=1 / SCALE, mode="bicubic", antialias=True)
