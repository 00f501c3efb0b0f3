"""An RWSR recipe: the tables that this method adds to those of every recipe."""

from typing import Literal

from pydantic import Field, model_validator

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.pipeline import DegradationSettings
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.networks.discriminators import DiscriminatorSettings, require_judgeable
from upscale_cli.training.settings import RecipeSettings


class LossSettings(Settings):
    """Weights of Eq. (3) and (5), for pictures in [0, 1]; 0 leaves a term out. The defaults are the first stage."""

    l1: float = Field(default=1.0, ge=0)
    """eta, of L_1: mean absolute difference. Alone in the first stage; then 0.01 (relativistic) or 0.005 (standard)."""
    mse: float = Field(default=0.0, ge=0)
    """Ours: mean squared difference, which is what PSNR counts; of two answers that may be true it takes the mean."""
    per: float = Field(default=0.0, ge=0)
    """L_p: mean difference of features. Eq. (3) and (5): 1."""
    features: Literal["vgg19", "discriminator"] = "vgg19"
    """L_p's network: VGG-19, whose weights are fetched; or, ours, the discriminator, whatever it has learnt so far."""
    ssim: float = Field(default=0.0, ge=0)
    """Of 1 - SSIM. Ours: structure counts for more than in L_1 alone."""
    sharpen: float = Field(default=0.0, ge=0, le=10)
    """Not a weight: how much the originals are sharpened before all terms (Real-ESRGAN+), as `upscale run --sharpen`
    does; 0.5 to 1 is crisp."""
    flat: float = Field(default=0.0, ge=0)
    """Ours: mean |G(c) - c| over flat pictures c of all colours; needs `generator.padding = "replicate"`."""
    grid: float = Field(default=0.0, ge=0)
    """Ours: against a pattern that repeats with each pixel of low resolution, as networks leave it that learn with
    `gan`."""
    gan: float = Field(default=0.0, ge=0)
    """lambda, of L_a: what the discriminator says. Section 4.1: 0.005 with either objective."""
    objective: Literal["relativistic", "standard"] = "relativistic"
    """Whether the discriminator compares real with fake (Eq. (4)), or judges each alone (Eq. (5))."""


class TrainingSettings(RecipeSettings):
    """An RWSR recipe."""

    method: Literal["rwsr"]
    generator: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    loss: LossSettings = LossSettings()
    degradation: DegradationSettings = DegradationSettings()

    @model_validator(mode="after")
    def _terms_fit(self) -> "TrainingSettings":
        if self.data.source is not None:
            raise ValueError("data.source: rwsr does not learn from photographs without partners, leave it out")
        if not any((self.loss.l1, self.loss.mse, self.loss.per, self.loss.ssim, self.loss.gan)):
            raise ValueError("loss.l1, .mse, .per, .ssim or .gan must be above 0, or nothing is learnt")
        if self.loss.gan:
            require_judgeable(self.discriminator, self.patch, self.generator.scale)
        if self.loss.per and self.loss.features == "discriminator" and not self.loss.gan:
            raise ValueError("loss.features = 'discriminator' needs loss.gan, or there is no discriminator")
        if self.loss.flat and self.generator.padding == "zeros":
            raise ValueError("loss.flat needs generator.padding = 'replicate': between zeros no picture is flat")
        return self
