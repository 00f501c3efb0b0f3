"""A SRResCycGAN recipe: the tables that this method adds to those of every recipe."""

from typing import Literal

from pydantic import Field, model_validator

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.pipeline import DegradationSettings
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.networks.vgg_discriminator import HALVINGS
from upscale_cli.training.settings import RecipeSettings


class LossSettings(Settings):
    """Weights of Eq. (3) and (10), in grey levels; 0 leaves a term out. The defaults are the supervised part."""

    l1: float = Field(default=10.0, ge=0)
    """L_1, Eq. (7): mean absolute difference. Eq. (3) and (10): 10."""
    tv: float = Field(default=1.0, ge=0)
    """L_tv, Eq. (8): difference of gradients. Eq. (3) and (10): 1."""
    gan: float = Field(default=0.0, ge=0)
    """L_GAN, Eq. (6), by D_x: relativistic average GAN on high-resolution pictures. Eq. (3) and (10): 1."""
    gan_lr: float = Field(default=0.0, ge=0)
    """The same by D_y on low-resolution pictures (section 3.3); no equation gives its weight. Ours, as `gan`: 1."""
    per: float = Field(default=0.0, ge=0)
    """L_per, Eq. (4): features of VGG-19, whose weights are fetched. Eq. (3): 1; Eq. (10) has none."""
    cyc: float = Field(default=0.0, ge=0)
    """L_cyc, Eq. (9): back to the low-resolution picture through G_LR. Eq. (3) and (10): 10."""
    ssim: float = Field(default=0.0, ge=0)
    """L_ssim: 1 - SSIM. Eq. (10): 1, which in grey levels is next to nothing."""
    msssim: float = Field(default=0.0, ge=0)
    """L_msssim: 1 - MS-SSIM. Eq. (10): 1, as for `ssim`."""
    flat: float = Field(default=0.0, ge=0)
    """Ours: mean |G_SR(c) - c| over flat pictures c of all colours, saturated ones too, of which photographs teach
    little."""


class LRGeneratorSettings(Settings):
    """G_LR (section 3.3), built where `loss.cyc` or `data.source` needs it."""

    features: int = Field(default=64, ge=1)
    """Feature maps; the paper gives none, those of G_SR."""
    blocks: int = Field(default=6, ge=1)
    """Residual blocks (section 3.3: 6)."""


class DiscriminatorSettings(Settings):
    """D_x and D_y (section 3.3), built where `loss.gan` or `loss.gan_lr` or `data.source` needs them."""

    features: int = Field(default=64, ge=1)
    """Feature maps of the first convolutions (section 3.3: 64, growing to 512 and 256)."""
    high_pass: bool = True
    """Judge high frequencies only, as the released code does (section 3.4 speaks of "high frequencies")."""


class SourceSettings(Settings):
    """How G_LR learns to spoil pictures as those of `data.source` are: DSGAN's objective (section 4.1)."""

    colour: float = Field(default=1.0, ge=0)
    """Weight of the difference to bicubic downsampling in means of 5x5 pixels (DSGAN: 1, in [0, 1])."""
    gan: float = Field(default=1.275, ge=0)
    """Weight of D_y's judgement (DSGAN: 0.005 beside colours in [0, 1], which is 1.275 beside grey levels)."""
    warmup: int = Field(default=1000, ge=0)
    """Steps that G_LR learns alone before G_SR learns from what it spoils. Ours."""


class TrainingSettings(RecipeSettings):
    """A SRResCycGAN recipe."""

    method: Literal["srrescycgan"]
    generator: GeneratorSettings = GeneratorSettings()
    lr_generator: LRGeneratorSettings = LRGeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    loss: LossSettings = LossSettings()
    source: SourceSettings = SourceSettings()
    degradation: DegradationSettings = DegradationSettings()

    @property
    def paired(self) -> bool:
        """Are photographs of the source domain none of its business?"""
        return self.data.source is None

    @model_validator(mode="after")
    def _networks_fit(self) -> "TrainingSettings":
        unit = 2**HALVINGS // 4
        if self.loss.gan and self.patch % unit:
            raise ValueError(f"with loss.gan, patch = {self.patch} must be a multiple of {unit}: D_x halves it")
        return self
