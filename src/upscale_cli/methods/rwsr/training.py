"""RWSR's training, Eq. (3) to (5): which terms there are is what the recipe gives a weight.

ESRGAN's two stages are two recipes: the first by L1 alone, the second from its model (`start`) with a discriminator.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from upscale_cli.degradation.operations import Pixels
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.losses.adversarial import gan_loss, judged, r1_terms, ragan_discriminator_loss, ragan_generator_loss
from upscale_cli.losses.content import content_loss, feature_matching_loss, mse_loss, perceptual_loss
from upscale_cli.losses.flat import flat_loss, flat_pictures
from upscale_cli.losses.grid import grid_loss
from upscale_cli.losses.sharpening import sharpened
from upscale_cli.losses.similarity import ssim_loss
from upscale_cli.methods.rwsr.generator import Generator
from upscale_cli.methods.rwsr.training_settings import TrainingSettings
from upscale_cli.networks.discriminators import Discriminator, build_discriminator
from upscale_cli.networks.reduced_precision import PRECISIONS, reduced
from upscale_cli.training.datasets import Batch, draw_batch
from upscale_cli.training.pictures import load_pictures
from upscale_cli.training.trainable import Group, Update, Validation
from upscale_cli.training.validation import Validator
from upscale_cli.weights.checkpoint import Trained, write_model

__all__ = ["TrainingSettings", "prepare"]

FLAT_SIDE = 3
"""Pixels: between pixel shuffles flat features need not be flat, and only the middle one of three sees no border."""
FLAT_TURNS = 7
"""Steps in which all flat pictures have had their turn, no multiple of their levels: every step sees all of those."""
Terms = dict[str, Tensor]


class Training:
    """An RWSR recipe ready to run (a `Trainable`).

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
        self._scale = scale = settings.generator.scale
        self._pictures = load_pictures(settings.data, scale, settings.patch, message)
        self._validator = Validator(self._pictures.validation, self._degraded, settings.seed, scale)
        self.network = self.G = Generator(settings.generator)
        self.groups = {"generator": Group({"G": self.G}, settings.optimiser)}
        self.D: Discriminator | None = None
        if settings.loss.gan:
            self.D = build_discriminator(settings.discriminator, scale * settings.patch)
            own = settings.optimiser.with_lr(settings.discriminator.lr)
            self.groups["discriminator"] = Group({"D": self.D}, own, adversary=True)
        for group in self.groups.values():
            for network in group.networks.values():
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def draw(self, step: int, samples: range) -> Batch:
        """Paired patches: what the recipe's degradation makes of photographs (section 3.1.1), or given pairs."""
        s = self.settings
        return draw_batch(self._pictures, s.data, s.seed, step, samples, s.patch, self._scale, self._degraded)

    def step(self, number: int, batch: Batch, update: Update) -> None:
        """G by Eq. (3) or (5), then D on the same fakes."""
        x, y = (_grey_levels(side) for side in (batch.lr, batch.hr))
        fake = self.G(x, self._dtype)
        weights = self.settings.loss
        if weights.sharpen:
            y = sharpened(y, weights.sharpen, self._scale)
        terms: Terms = {"l1": weights.l1 * content_loss(fake, y) / 255}
        if weights.mse:
            terms["mse"] = weights.mse * mse_loss(fake / 255, y / 255)
        if weights.ssim:
            terms["ssim"] = weights.ssim * ssim_loss(fake, y)
        if weights.grid:
            terms["grid"] = weights.grid * grid_loss(fake / 255, y / 255, self._scale)
        if weights.flat:
            flat = flat_pictures(FLAT_SIDE)[number % FLAT_TURNS :: FLAT_TURNS].to(x.device)
            terms["flat"] = weights.flat * flat_loss(partial(self.G, body=self._dtype), flat) / 255
        if self._phi is not None:
            with reduced(fake, self._dtype):
                terms["per"] = weights.per * perceptual_loss(fake, y, self._phi.to(y.device))
        if self.D is not None:
            terms |= self._judged(self.D, fake / 255, y / 255)
        update("generator", terms)
        if self.D is not None:
            told = {"d": self._told_apart(self.D, fake.detach() / 255, y / 255)}
            update("discriminator", told | r1_terms(self.D, y / 255, self.settings.discriminator.r1, number))

    def validate(self, network: nn.Module) -> Validation:
        """See `Validator`."""
        return self._validator(network, self._dtype)

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """The generator under the official names, as safetensors; its metadata suffice to build it again.

        Raises ResourceError, WeightsError where `path` cannot be written.
        """
        s = self.settings
        options = s.generator.model_dump(mode="json")
        about = Trained(s.method, self._scale, options, s.name, step)
        write_model(network.state_dict(), path, about)

    def _judged(self, D: Discriminator, fake: Tensor, real: Tensor) -> Terms:
        """What D's judgement costs G: L_a^R, Eq. (4), or L_a^S of Eq. (5), SRGAN's -log D(G(x)); RGB in [0, 1].

        With `loss.features` also the perceptual term, on D's own features.
        """
        weights = self.settings.loss
        with reduced(fake, self._dtype):
            (*features, c_fake), (*targets, c_real) = judged(D, fake, real)
        as_real = gan_loss(c_fake, real=True)
        if weights.objective == "relativistic":
            as_real = ragan_generator_loss(c_real, c_fake)
        terms = {"gan": weights.gan * as_real}
        if weights.per and weights.features == "discriminator":
            terms["per"] = weights.per * feature_matching_loss(features, targets)
        return terms

    def _told_apart(self, D: Discriminator, fake: Tensor, real: Tensor) -> Tensor:
        """What D pays: Eq. (4) with real and fake exchanged, or -log D(real) - log(1 - D(fake))."""
        with reduced(fake, self._dtype):
            c_real, c_fake = D(real), D(fake)
        if self.settings.loss.objective == "standard":
            return gan_loss(c_real, real=True) + gan_loss(c_fake, real=False)
        return ragan_discriminator_loss(c_real, c_fake)

    def _degraded(self, hr: Pixels, rng: np.random.Generator) -> Pixels:
        return degrade(hr, self._scale, self.settings.degradation, rng)


def prepare(settings: TrainingSettings, message: Callable[[str], None]) -> Training:
    """The recipe ready to run: pictures decoded, networks initialised by the seed, VGG-19 at hand where it is needed.

    Raises UsageError, PictureError for pictures that cannot be trained on, WeightsError where VGG-19 cannot be had.
    """
    if not settings.loss.per or settings.loss.features != "vgg19":
        return Training(settings, message)
    from upscale_cli.weights.features import vgg19_for_training  # most recipes do without

    return Training(settings, message, vgg19_for_training("configs/rwsr-psnr.toml"))


def _grey_levels(side: Tensor) -> Tensor:
    """[0, 1] -> [0, 255], as this room works in, in the layout that convolves fastest."""
    return side.mul(255).contiguous(memory_format=torch.channels_last)
