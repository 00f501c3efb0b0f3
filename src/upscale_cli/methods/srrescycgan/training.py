"""SRResCycGAN's supervised stage: L1 + TV (Eq. 3 without its adversarial, perceptual and cyclic terms).

A term of ours beside them, off by default, keeps flat colours what they are.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.operations import Pixels
from upscale_cli.degradation.pipeline import DegradationSettings, degrade
from upscale_cli.imaging.quality import psnr
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import SCALE, Generator
from upscale_cli.methods.srrescycgan.losses import content_loss, flat_pictures, tv_loss
from upscale_cli.training.datasets import Batch, draw_batch
from upscale_cli.training.pictures import Pair, load_pictures
from upscale_cli.training.settings import RecipeSettings
from upscale_cli.weights.checkpoint import write_safetensors

FLAT_LEVELS = (0.0, 3.0, 8.0, 20.0, 60.0, 128.0, 200.0, 255.0)
"""Grey levels of each colour among the flat pictures, densest near black, where noise that is clipped teaches a network
to brighten or darken. Together 512 pictures, 6 % of a step's arithmetic."""
VALIDATED = 384
"""Pixels a side, at most, that validation looks at of each held-out picture."""


class LossSettings(Settings):
    """Weights of Eq. (3)."""

    l1: float = Field(default=10.0, ge=0)
    """Eq. (3): 10."""
    tv: float = Field(default=1.0, ge=0)
    """Eq. (3): 1."""
    flat: float = Field(default=0.0, ge=0)
    """Ours: weight of the mean |G_SR(c) - c| over flat pictures c of all colours, saturated ones too, of which
    photographs teach little."""


class TrainingSettings(RecipeSettings):
    """A SRResCycGAN recipe."""

    method: Literal["srrescycgan"]
    generator: GeneratorSettings = GeneratorSettings()
    loss: LossSettings = LossSettings()
    degradation: DegradationSettings = DegradationSettings()


class SupervisedStage:
    """G_SR learning from degraded copies of good pictures (a `Trainable`)."""

    def __init__(self, settings: TrainingSettings, message: Callable[[str], None]) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.network: nn.Module = Generator(settings.generator)
        self._body = torch.bfloat16 if settings.precision == "bf16" else torch.float32
        self._pictures = load_pictures(settings.data, SCALE, settings.patch, message)
        self._validation = [self._validated(pair, i) for i, pair in enumerate(self._pictures.validation)]

    def draw(self, step: int) -> Batch:
        """Paired patches of section 3.5."""
        s = self.settings
        return draw_batch(self._pictures, s.data, s.seed, step, range(s.batch), s.patch, SCALE, self._degraded)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """10 L_1 + L_tv, in grey levels, and the term of flat colours where the recipe gives it a weight."""
        y, x = (_grey_levels(side) for side in (batch.lr, batch.hr))
        x_hat = self.network(y, self._body)
        weights = self.settings.loss
        terms = {"l1": weights.l1 * content_loss(x_hat, x), "tv": weights.tv * tv_loss(x_hat, x)}
        if weights.flat:
            flat = flat_pictures(FLAT_LEVELS).to(x.device)
            terms["flat"] = weights.flat * content_loss(self.network(flat, self._body), flat)
        return terms

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean PSNR (RGB, border 4) over the held-out pictures, each degraded once and for all."""
        device = next(network.parameters()).device
        scores = []
        for lr, hr in self._validation:
            x_hat = network(_grey_levels(to_tensor(lr).to(device)), self._body)
            scores.append(psnr(_as_pixels(x_hat), hr, border=SCALE))
        return {"psnr": float(np.mean(scores))} if scores else {}

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """The generator under the official names, as safetensors; its metadata suffice to build it again.

        Raises ResourceError, WeightsError where `path` cannot be written.
        """
        metadata = {
            "method": self.settings.method,
            "recipe": self.settings.name,
            "steps": str(step),
            "options": json.dumps(self.settings.generator.model_dump(mode="json")),
        }
        write_safetensors(network.state_dict(), path, metadata)

    def _validated(self, pair: Pair, index: int) -> tuple[Pixels, Pixels]:
        hr = pair.hr[:VALIDATED, :VALIDATED]
        if pair.lr is not None:
            return pair.lr[: VALIDATED // SCALE, : VALIDATED // SCALE], hr
        return self._degraded(hr, np.random.default_rng((self.settings.seed, index))), hr

    def _degraded(self, hr: Pixels, rng: np.random.Generator) -> Pixels:
        return degrade(hr, SCALE, self.settings.degradation, rng)


def prepare(settings: TrainingSettings, message: Callable[[str], None]) -> SupervisedStage:
    """The recipe ready to run: pictures decoded, network initialised by the seed.  message: told what was found.

    Raises UsageError, PictureError for pictures that cannot be trained on.
    """
    return SupervisedStage(settings, message)


def _grey_levels(side: Tensor) -> Tensor:
    """[0, 1] -> [0, 255], as this room works in, in the layout that convolves fastest."""
    return side.mul(255).contiguous(memory_format=torch.channels_last)


def _as_pixels(x: Tensor) -> Pixels:
    return np.asarray(from_tensor(x.div(255), np.uint8, "rgb"), np.uint8)
