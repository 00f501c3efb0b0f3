"""A CycleSR recipe: the tables that this method adds to those of every recipe."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from upscale_cli.config.toml_file import Settings
from upscale_cli.config.toml_text import SHOWN
from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.networks.discriminators import DiscriminatorSettings, require_judgeable
from upscale_cli.networks.patch_discriminator import Norm, smallest_judged
from upscale_cli.networks.resnet_generator import smallest_translated
from upscale_cli.training.settings import DataSettings, ExistingFolder, RecipeSettings

OWN = "cyclesr"
"""This method's name."""


class UnpairedDataSettings(DataSettings):
    """Where pictures come from. Paths in a recipe are relative to the recipe's own folder."""

    lr: Path | None = Field(default=None, examples=["my-phone"], json_schema_extra=SHOWN)
    """Folder of real low-resolution photos of other scenes than `train`, whatever their names; with `course = "paired"`
    its partners, of the same names."""
    source: ExistingFolder | None = Field(default=None, examples=["camera"])
    """Not taken by this method: see `lr`."""
    synthetic: Literal["bicubic", "bilinear", "nearest"] = "bicubic"
    """G_down, which makes synthetic low resolution of the good pictures ("Training details": these three)."""
    halves: bool = False
    """The paper's split, for experiments ("Data"): the first half of `train` by name, and of `lr` the rest's names,
    or with `course = "paired"` the first half's."""

    @property
    def paired(self) -> bool:
        """False: only `course` says whether `lr` holds partners."""
        return False


class SecondStageSettings(Settings):
    """Another method's network as the second stage, in place of `generator`: "any existing SR network"."""

    method: str = OWN
    """Whose network it is; then that method's checkpoint is exported."""
    options: dict[str, Any] = Field(default={})
    """What it is built from: the keys of that method's `generator` table. Of a network of cyclesr: see `generator`."""


class TranslationSettings(Settings):
    """CycleGAN between synthetic and real low resolution: G_s2r, G_r2s, D_r and D_s (Eq. (2))."""

    features: int = Field(default=64, ge=1)
    """Feature maps of the generators' first convolution (CycleGAN: 64)."""
    blocks: int = Field(default=9, ge=1)
    """Residual blocks of each generator (CycleGAN: 9)."""
    halvings: int = Field(default=2, ge=0, le=4)
    """How often a generator halves its picture before those blocks (CycleGAN: 2). Ours is 0: where only details are to
    change, they need not first learn to pass a smaller picture unharmed."""
    norm: Norm = "instance"
    """Of the generators (CycleGAN: instance). Instance norm takes each patch's brightness and contrast away, which no
    generator can give back then: colours drift, the more the smaller patches are. Batch norm, ours, keeps them."""
    skip: bool = False
    """Ours: a generator makes what is added to its picture, and begins by leaving it alone, colours above all."""
    skip_high_pass: bool = False
    """Ours, with `skip`: of what is added its mean over 9 x 9 pixels is taken away, so that colours cannot drift. It is
    what `judge_high_pass` keeps from the discriminators, who cannot forbid it then."""
    noise: bool = False
    """Ours, after Bulat et al. (2018), who give noise to such a network: G_s2r adds some, whose strength for a colour
    it learns from D_r alone; it must else read noise from details, which flat areas have none of."""
    judge_features: int = Field(default=64, ge=1)
    """Feature maps of the discriminators' first convolution (CycleGAN: 64)."""
    judge_halvings: int = Field(default=3, ge=1, le=4)
    """How often a discriminator halves what it sees: with 3 (CycleGAN) it judges parts of 70 x 70 pixels, with 2 of 34,
    with 1 of 16."""
    judge_norm: Norm = "instance"
    """Of the discriminators (CycleGAN: instance, which hides from them how strong details are)."""
    judge_high_pass: bool = False
    """Ours, as in DSGAN: discriminators see a picture less its mean over 9 x 9 pixels. Blur and noise are in there, and
    scenes, colours and levels, which differ between two folders too, are not."""
    lr: float = Field(default=2e-4, gt=0, le=1e30)
    """Learning rate of all four ("Training details": 2e-4); else they learn as `optimiser` says."""
    judge_lr: float | None = Field(default=None, gt=0, le=1e30, examples=[1e-3])
    """Learning rate of the discriminators; without it that of all four."""


class LossSettings(Settings):
    """Weights of Eq. (2) and (4); 0 leaves a term out. The defaults are CycleSR's: MSE alone."""

    cycle: float = Field(default=10.0, ge=0)
    """lambda_cyc: there and back again, for pictures in [-1, 1] ("Training details": 10)."""
    identity: float = Field(default=0.5, ge=0)
    """lambda_id, as a share of `cycle`, which CycleGAN's code takes it for: what is real already stays ("Training
    details": 0.5). More of it keeps colours nearer to what they are."""
    mse: float = Field(default=1e3, ge=0)
    """lambda_mse, for pictures in [0, 1] ("Training details": 1e3 for NTIRE 2017, 1e2 for NTIRE 2018). With too little
    of it colours drift, with too much G_s2r spoils nothing any more (Figure 3)."""
    per: float = Field(default=0.0, ge=0)
    """lambda_percep: mean difference of features. CycleSRGAN: 1."""
    features: Literal["vgg19", "discriminator"] = "vgg19"
    """Whose features: VGG-19's, whose weights are fetched; or, ours, D_h's, whatever it has learnt so far."""
    gan: float = Field(default=0.0, ge=0)
    """lambda_advsr: what D_h says, a relativistic GAN. CycleSRGAN: 0.05."""
    grid: float = Field(default=0.0, ge=0)
    """Ours: against a pattern that repeats with each pixel of low resolution, as a VDSR leaves it that learns with
    `gan`; for pictures in [0, 1]."""


class TrainingSettings(RecipeSettings):
    """A CycleSR recipe."""

    method: Literal["cyclesr"]
    course: Literal["joint", "apart", "synthetic", "paired"] = "joint"
    """Which column of Table 1. joint: CycleSR, Eq. (3). apart: Cycle+SR, where the CycleGAN stays as it is after its
    `pretrain_steps`. synthetic: SR_syn, the super-resolution network alone, without `data.lr`. paired: SR_paired, the
    same on pictures of `data.lr` that are partners of `data.train`."""
    pretrain_steps: int = Field(default=5_156, ge=0)
    """Steps in which the CycleGAN learns from unpaired pictures, and the super-resolution network from synthetic pairs,
    each by itself ("Training details": 5 epochs of 33,000 patches, 32 a step)."""
    data: UnpairedDataSettings
    generator: GeneratorSettings = GeneratorSettings()
    second_stage: SecondStageSettings = SecondStageSettings()
    translation: TranslationSettings = TranslationSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    loss: LossSettings = LossSettings()

    @property
    def exported_method(self) -> str:
        """Whose checkpoints such a run starts from and exports."""
        return self.second_stage.method

    @property
    def paired(self) -> bool:
        """Does the CycleGAN play no part?"""
        return not self.translates

    @property
    def translates(self) -> bool:
        """Is there a CycleGAN?"""
        return self.course in ("joint", "apart")

    @model_validator(mode="after")
    def _networks_fit(self) -> "TrainingSettings":
        if self.data.source is not None:
            unlearnt = "" if self.translates else f"; course = '{self.course}' learns from none"
            raise ValueError(f"data.source: photographs without partners are data.lr in a cyclesr recipe{unlearnt}")
        if self.data.lr is not None and self.course != "synthetic" and not os.path.isdir(self.data.lr):  # noqa: PTH112
            raise ValueError(f"data.lr = {self.data.lr}: there is no such folder")
        if self.course == "paired" and self.data.lr is None:
            raise ValueError("data.lr is missing: with course = 'paired' it holds the partners of data.train")
        if self.course == "paired" and self.data.plain_share:
            raise ValueError("data.plain_share needs synthetic low resolution: with course = 'paired' set it to 0")
        if self.translation.skip_high_pass and not self.translation.skip:
            raise ValueError("translation.skip_high_pass is about what translation.skip adds: set that too")
        own = self.second_stage.method == OWN
        if own and self.second_stage.options:
            raise ValueError("second_stage.options are another method's: of cyclesr's own networks set [generator]")
        if self.loss.gan and own:  # of another method's scale nothing is known yet
            require_judgeable(self.discriminator, self.patch, self.generator.scale)
        halvings, judge_halvings = self.translation.halvings, self.translation.judge_halvings
        smallest = max(smallest_judged(judge_halvings), smallest_translated(halvings))
        if self.translates and self.patch < smallest:
            raise ValueError(f"patch = {self.patch}: the CycleGAN needs {smallest} pixels at least")
        if self.loss.per and self.loss.features == "discriminator" and not self.loss.gan:
            raise ValueError("loss.features = 'discriminator' needs loss.gan, or there is no discriminator")
        if not (self.loss.mse or self.loss.per or self.loss.gan):
            raise ValueError("loss.mse, loss.per or loss.gan must be above 0, or nothing is learnt")
        return self
