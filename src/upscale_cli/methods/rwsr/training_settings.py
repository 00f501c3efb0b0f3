"""An RWSR recipe: the tables that this method adds to those of every recipe."""

from typing import Literal

from pydantic import Field, model_validator

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.pipeline import DegradationSettings
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.networks.vgg_discriminator import HALVINGS
from upscale_cli.training.settings import RecipeSettings


class LossSettings(Settings):
    """Weights of Eq. (3) and (5), for pictures in [0, 1]; 0 leaves a term out. The defaults are the first stage."""

    l1: float = Field(default=1.0, ge=0)
    """eta, of L_1: mean absolute difference. Alone in the first stage; then 0.01 (relativistic) or 0.005 (standard)."""
    per: float = Field(default=0.0, ge=0)
    """L_p: features of VGG-19, whose weights are fetched. Eq. (3) and (5): 1."""
    gan: float = Field(default=0.0, ge=0)
    """lambda, of L_a: what the discriminator says. Section 4.1: 0.005 with either objective."""
    objective: Literal["relativistic", "standard"] = "relativistic"
    """Whether the discriminator compares real with fake (Eq. (4)), or judges each alone (Eq. (5))."""


class DiscriminatorSettings(Settings):
    """ESRGAN's discriminator, built where `loss.gan` needs it."""

    features: int = Field(default=64, ge=1)
    """Feature maps of the first convolutions (ESRGAN: 64, growing to 512)."""


class TrainingSettings(RecipeSettings):
    """An RWSR recipe."""

    method: Literal["rwsr"]
    generator: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    loss: LossSettings = LossSettings()
    degradation: DegradationSettings = DegradationSettings()

    @model_validator(mode="after")
    def _discriminator_fits(self) -> "TrainingSettings":
        side = self.patch * self.generator.scale
        if self.loss.gan and side % 2**HALVINGS:
            raise ValueError(
                f"with loss.gan, patch = {self.patch} times scale {self.generator.scale} must be a multiple of "
                f"{2**HALVINGS}: the discriminator halves it"
            )
        return self
