"""CycleSR's training: the CycleGAN of Eq. (2) and a super-resolution network, first each alone, then jointly, Eq. (3).

Joint means that what the network pays, L_2, moves G_s2r too, which makes the pictures that it learns from. CycleSRGAN
is the same with all terms of Eq. (4); and the other courses are the columns of Table 1 that the paper compares with.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from upscale_cli.degradation.operations import downsample
from upscale_cli.losses.adversarial import judged, r1_terms, ragan_discriminator_loss, ragan_generator_loss
from upscale_cli.losses.content import feature_matching_loss, mse_loss, perceptual_loss
from upscale_cli.losses.grid import grid_loss
from upscale_cli.methods import load_method
from upscale_cli.methods.cyclesr.training_settings import OWN, TrainingSettings
from upscale_cli.methods.cyclesr.translation import CycleGAN, Pictures, Terms, from_unit, noise, to_unit
from upscale_cli.methods.cyclesr.watching import Probe
from upscale_cli.networks.discriminators import Discriminator, build_discriminator
from upscale_cli.networks.reduced_precision import PRECISIONS, reduced
from upscale_cli.training.datasets import Batch, draw_batch
from upscale_cli.training.pictures import Pictures as TrainingPictures
from upscale_cli.training.pictures import Pixels, load_pairs, summary
from upscale_cli.training.processes import count, own_part
from upscale_cli.training.trainable import Group, Update, Validation
from upscale_cli.training.unpaired import first_half, load_unpaired
from upscale_cli.training.validation import Validator
from upscale_cli.weights.checkpoint import Trained, write_model

__all__ = ["TrainingSettings", "prepare"]


class Training:
    """A CycleSR recipe ready to run (a `Trainable`, and `Translating`).

    phi: VGG-19's features for `loss.per`, RGB in [0, 1] -> features.
    Raises UsageError, PictureError for pictures that cannot be trained on, UsageError for an unknown second stage.
    """

    def __init__(
        self, settings: TrainingSettings, message: Callable[[str], None], phi: nn.Module | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self._message = message
        self._dtype = PRECISIONS[settings.precision]
        self._phi = phi
        self.network = self.G_l2h = load_method(settings.exported_method).trainable(_options(settings))
        self._scale = scale = self.network.scale
        self._pictures = _load(settings, scale, message)
        self.D_h: Discriminator | None = None
        if settings.loss.gan:
            self.D_h = build_discriminator(settings.discriminator, scale * settings.patch)
        self.cycle = CycleGAN(settings.translation, settings.patch) if settings.translates else None
        for network in filter(None, (self.network, self.D_h)):  # the others' instance norm would undo it
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.groups = self._groups()
        if settings.translates and settings.pretrain_steps >= settings.max_steps:
            message(
                f"pretrain_steps = {settings.pretrain_steps} are all of max_steps = {settings.max_steps}: "
                "the network never learns from translations"
            )
        self._translated = False  # whether G_l2h learns from translations yet
        # Partners tell how good the network is at what it is for; without any, its own approximations must do.
        held = self._pictures.validation
        self._partnered = [pair for pair in held if pair.lr is not None]
        self._validator = Validator(self._partnered or held, self._reduced_picture, settings.seed, scale)
        self._probe = Probe(held or self._pictures.train, self._reduced_picture)
        self._drifts = False

    def draw(self, step: int, samples: range) -> Batch:
        """Good patches with their synthetic low resolution, and as `source` patches of real photos ("Data")."""
        s = self.settings
        return draw_batch(self._pictures, s.data, s.seed, step, samples, s.patch, self._scale, self._reduced_picture)

    def step(self, number: int, batch: Batch, update: Update) -> None:
        """Eq. (2) and Eq. (4), each for its own networks; from `pretrain_steps` on their sum, Eq. (3), for all."""
        self._translated = self.cycle is not None and number >= self.settings.pretrain_steps
        if self.cycle is None:
            self._super_resolve(number, batch.lr, batch.hr, update)
        elif self._translated and self.settings.course == "apart":
            y = self.cycle.approximated(batch.lr, self._noise(number))
            self._super_resolve(number, y, batch.hr, update)
        else:
            self._translate_too(self.cycle, number, batch, update)

    def _translate_too(self, cycle: CycleGAN, number: int, batch: Batch, update: Update) -> None:
        """A step in which the CycleGAN learns, with the super-resolution network or beside it."""
        assert batch.source is not None
        pictures = Pictures(from_unit(batch.lr), from_unit(batch.source))
        with reduced(batch.lr, self._dtype):
            fakes = cycle.translated(pictures, self._noise(number))
            terms = cycle.generator_terms(pictures, fakes, self.settings.loss)
        if self._translated:
            self._super_resolve(number, to_unit(fakes.given), batch.hr, update, terms)
        else:
            update("translators", terms)
            self._super_resolve(number, batch.lr, batch.hr, update)
        with reduced(batch.lr, self._dtype):
            judged_terms = cycle.discriminator_terms(pictures, fakes, (self.settings.seed, number))
        update("judges", judged_terms)

    def _noise(self, number: int) -> Tensor:
        """What G_s2r is given in this step, of this process' part of the batch."""
        s = self.settings
        seed = (s.seed, number, 0, 3)  # not what samples or pools are drawn by
        return own_part(noise((count() * s.batch, 3, s.patch, s.patch), seed))

    def _super_resolve(self, number: int, y: Tensor, x: Tensor, update: Update, terms: Terms | None = None) -> None:
        """Eq. (4), then what D_h pays.  terms: of Eq. (2), where y is the translators' and they learn from both."""
        y, x = (side.contiguous(memory_format=torch.channels_last) for side in (y, x))
        x_hat = self.G_l2h(y, self._dtype)
        supervised = self._supervised_terms(x_hat, x)
        if terms is None:
            update("network", supervised)
        else:
            update(("network", "translators"), supervised | terms)
        if self.D_h is not None:
            with reduced(x_hat, self._dtype):
                c_real, c_fake = self.D_h(x), self.D_h(x_hat.detach())
            told = {"d_h": ragan_discriminator_loss(c_real, c_fake)}
            update("discriminator", told | r1_terms(self.D_h, x, self.settings.discriminator.r1, number))

    def validate(self, network: nn.Module) -> Validation:
        """See `Validator`: of partners, or without any of G_s2r's approximations, once the network learns from them.

        Also the translations, and how far colours drift in them; too much of it is said.
        """
        seen = self.cycle if self.cycle is not None and not self._partnered else None
        measured = self._validator(_InGreyLevels(network, seen), self._dtype)
        # Before, what is not spoilt yet would be told best.
        figures = measured.figures if seen is None or self._translated else {}
        if self.cycle is None:
            return Validation(figures, measured.samples)
        drift = self._probe.drift(self.cycle)
        if drift.faulty and self._translated and not self._drifts:
            self._message(f"{drift.said}: {self._remedy}")
        self._drifts = drift.faulty and self._translated
        # The first figure decides what is best, so drift cannot stand alone.
        shown = {**figures, "drift": drift.levels} if figures else {}
        translations = {f"translation-{name}": pixels for name, pixels in self.translations().items()}
        return Validation(shown, {**measured.samples, **translations})

    @property
    def _remedy(self) -> str:
        """The knobs that hold colours in G_s2r's translations."""
        weights = self.settings.loss
        identity = "loss.identity" if weights.cycle else "loss.cycle and loss.identity"
        if self.settings.course == "apart":  # what the network pays does not move G_s2r, and nothing does any more
            return f"begin anew with more pretrain_steps or a higher {identity}"
        return f"raise loss.mse (tenfold) or {identity}"

    def translations(self) -> Mapping[str, Pixels]:
        """See `Probe.translations`."""
        return {} if self.cycle is None else self._probe.translations(self.cycle)

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """The super-resolution network under its method's names, as safetensors that describe themselves.

        Raises ResourceError, WeightsError where `path` cannot be written.
        """
        s, generator = self.settings, network.get_submodule("generator")
        options = _options(s)
        about = Trained(s.exported_method, self._scale, options, s.name, step)
        write_model(generator.state_dict(), path, about)

    def _groups(self) -> dict[str, Group]:
        optimiser = self.settings.optimiser
        groups = {"network": Group({"G_l2h": self.network}, optimiser)}
        if self.cycle is not None:
            rates = self.settings.translation
            own = optimiser.with_lr(rates.lr)
            judges = own.with_lr(rates.judge_lr)
            groups["translators"] = Group({"G_s2r": self.cycle.G_s2r, "G_r2s": self.cycle.G_r2s}, own)
            groups["judges"] = Group({"D_r": self.cycle.D_r, "D_s": self.cycle.D_s}, judges, adversary=True)
        if self.D_h is not None:
            own = optimiser.with_lr(self.settings.discriminator.lr)
            groups["discriminator"] = Group({"D_h": self.D_h}, own, adversary=True)
        return groups

    def _supervised_terms(self, x_hat: Tensor, x: Tensor) -> Terms:
        """L_2, Eq. (4), weighted; RGB in [0, 1]."""
        weights = self.settings.loss
        terms: Terms = {}
        if weights.mse:
            terms["mse"] = weights.mse * mse_loss(x_hat, x)
        if weights.grid:
            terms["grid"] = weights.grid * grid_loss(x_hat, x, self._scale)
        if self._phi is not None:
            with reduced(x_hat, self._dtype):
                terms["per"] = weights.per * perceptual_loss(255 * x_hat, 255 * x, self._phi.to(x.device))
        if self.D_h is not None:
            with reduced(x_hat, self._dtype):
                (*features, c_fake), (*targets, c_real) = judged(self.D_h, x_hat, x)
            terms["gan"] = weights.gan * ragan_generator_loss(c_real, c_fake)
            if weights.per and weights.features == "discriminator":
                terms["per"] = weights.per * feature_matching_loss(features, targets)
        return terms

    def _reduced_picture(self, hr: Pixels, _rng: np.random.Generator) -> Pixels:
        """I_syn = G_down(I_H)."""
        return downsample(hr, self._scale, self.settings.data.synthetic)


def prepare(settings: TrainingSettings, message: Callable[[str], None]) -> Training:
    """The recipe ready to run: pictures decoded, networks initialised by the seed, VGG-19 at hand where it is needed.

    Raises UsageError, PictureError for pictures that cannot be trained on, WeightsError where VGG-19 cannot be had.
    """
    if not settings.loss.per or settings.loss.features != "vgg19":
        return Training(settings, message)
    from upscale_cli.weights.features import vgg19_for_training  # most recipes do without

    return Training(settings, message, vgg19_for_training("configs/cyclesr-ntire17.toml"))


class _InGreyLevels(nn.Module):
    """The network in [0, 255], as a `Validator` has it; of the CycleGAN's approximations where there is one."""

    def __init__(self, network: nn.Module, cycle: CycleGAN | None) -> None:
        super().__init__()
        self.network = network
        self._cycle = cycle

    def forward(self, x: Tensor, body: torch.dtype) -> Tensor:
        """(B, 3, h, w) -> (B, 3, s h, s w)."""
        y = x / 255
        x_hat: Tensor = self.network(y if self._cycle is None else self._cycle.approximated(y), body)
        return 255 * x_hat


def _options(settings: TrainingSettings) -> dict[str, Any]:
    """What the second stage is built from."""
    if settings.second_stage.method == OWN:
        return settings.generator.model_dump(mode="json", exclude_none=True)
    return settings.second_stage.options


def _load(settings: TrainingSettings, scale: int, message: Callable[[str], None]) -> TrainingPictures:
    data = settings.data
    if settings.translates:
        return load_unpaired(data, scale, settings.patch, message, halves=data.halves)
    alone = data.model_copy(update={"lr": None}) if settings.course == "synthetic" else data
    train, validation = load_pairs(alone, scale, settings.patch, message)
    pairs = [pair for _, pair in (first_half(train, data.train) if data.halves else train)]
    pictures = TrainingPictures(pairs, validation)
    message(summary(pictures))
    return pictures
