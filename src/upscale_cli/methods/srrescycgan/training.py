"""SRResCycGAN's supervised stage: L1 + TV (Eq. 3 without its adversarial, perceptual and cyclic terms)."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.pipeline import DegradationSettings, degrade
from upscale_cli.imaging.quality import psnr
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import SCALE, Generator
from upscale_cli.methods.srrescycgan.losses import content_loss, tv_loss
from upscale_cli.training.datasets import MARGIN, Batch, draw_batch, load_pictures
from upscale_cli.training.settings import RecipeSettings
from upscale_cli.weights.checkpoint import write_safetensors


class LossSettings(Settings):
    """Weights of Eq. (3)."""

    l1: float = Field(default=10.0, ge=0)
    """Eq. (3): 10."""
    tv: float = Field(default=1.0, ge=0)
    """Eq. (3): 1."""


class TrainingSettings(RecipeSettings):
    """A SRResCycGAN recipe."""

    generator: GeneratorSettings = GeneratorSettings()
    loss: LossSettings = LossSettings()
    degradation: DegradationSettings = DegradationSettings()


class SupervisedStage:
    """G_SR learning from degraded copies of good pictures (a `Trainable`)."""

    def __init__(self, settings: TrainingSettings) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.network: nn.Module = Generator(settings.generator)
        self._body = torch.bfloat16 if settings.precision == "bf16" else torch.float32
        smallest = (settings.patch + MARGIN) * SCALE
        pictures = load_pictures(settings.data.train, SCALE, smallest)
        self._train = [pixels for stem, pixels in pictures.items() if stem not in settings.data.holdout]
        self._degrade = partial(_degrade, settings.degradation)
        self._validation = [
            (self._degrade(pixels, np.random.default_rng((settings.seed, i))), pixels)
            for i, pixels in enumerate(
                pixels[:384, :384] for stem, pixels in pictures.items() if stem in settings.data.holdout
            )
        ]

    def draw(self, step: int) -> Batch:
        """Paired patches of section 3.5."""
        s = self.settings
        return draw_batch(self._train, s.seed, step, s.batch, s.patch, SCALE, self._degrade)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """10 L_1 + L_tv, in grey levels."""
        y, x = (side.mul(255).contiguous(memory_format=torch.channels_last) for side in (batch.lr, batch.hr))
        x_hat = self.network(y, self._body)
        weights = self.settings.loss
        return {"l1": weights.l1 * content_loss(x_hat, x), "tv": weights.tv * tv_loss(x_hat, x)}

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean PSNR (RGB, border 4) over the held-out pictures, each degraded once and for all."""
        scores = []
        for lr, hr in self._validation:
            x_hat = network(to_tensor(lr).mul(255).contiguous(memory_format=torch.channels_last), self._body)
            scores.append(psnr(from_tensor(x_hat.div(255), np.uint8, 3), hr, border=SCALE))
        return {"psnr": float(np.mean(scores))} if scores else {}

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """The averaged generator under the official names, as safetensors."""
        state = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
        write_safetensors(state, path, {"method": "srrescycgan", "recipe": self.settings.name, "steps": str(step)})


def prepare(settings: TrainingSettings) -> SupervisedStage:
    """The recipe ready to run: pictures decoded, network initialised by the seed."""
    return SupervisedStage(settings)


def _degrade(settings: DegradationSettings, hr: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    return degrade(hr, SCALE, settings, rng)
