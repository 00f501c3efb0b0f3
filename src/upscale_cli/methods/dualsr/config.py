"""What DualSR's networks are built from, and how long and on what they learn; the defaults are the released code's."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.training.settings import OptimiserSettings

SCALE = 2
"""Of one pass."""
REDUCTIONS = ("box", "bilinear", "bicubic", "lanczos")
"""Resampling filters by whose name a kernel can be given."""
_BETAS = (0.5, 0.999)


class GeneratorSettings(Settings):
    """The upsampler G_UP; a checkpoint's `options` hold the same keys."""

    features: int = Field(default=64, ge=1)
    """Feature maps of every convolution but the last (released code: 64)."""
    passes: int = Field(default=1, ge=1, le=3)
    """How often it is run, each time on what it has made: x2, x4 or x8 (the paper: once, and asks for more)."""

    @property
    def scale(self) -> int:
        """Output pixels per input pixel and side, after all passes."""
        return int(SCALE**self.passes)


class LossSettings(Settings):
    """Weights of Eq. (2) and (3)."""

    cycle: float = Field(default=5.0, ge=0)
    """lambda_cycle of both cycles (section 4: 5)."""
    interpolation: float = Field(default=2.0, ge=0)
    """lambda_interp (section 4: 2)."""
    regularisation: float = Field(default=2.0, ge=0)
    """Of R in Eq. (3), which the paper adds as it is; the released code doubles it."""


class AdaptationSettings(Settings):
    """How the networks learn from one picture (section 4)."""

    name: str = "dualsr"
    """Of the checkpoint that is written."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides the first weights and every crop."""
    course: Literal["dual", "forward"] = "dual"
    """dual: all of Eq. (2), from random weights, the kernel learned by G_DN. forward: ours: G_UP has learned from other
    pictures before and follows Eq. (5)'s forward cycle alone, by the kernel that `estimation` finds."""
    max_steps: int = Field(default=3000, ge=1)
    """Steps in all (section 4: 3,000)."""
    batch: int = Field(default=2, ge=1)
    """Patches of each size in a step (section 4: 2)."""
    patch: int = Field(default=128, ge=32, multiple_of=4)
    """Side of the patches y; those of x have half of it (section 4: 128 and 64). Course forward: of x."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the gradients of the upsampler's convolutions; what they compute is float32's."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights of G_UP, which are what is used; 0 for the last ones, as in the paper."""
    save_every: int = Field(default=100, ge=1)
    """Steps between the states that an interrupted run goes on from."""
    workers: int = 0
    """Threads that draw batches ahead: none, a crop is a view of the picture."""
    generator: GeneratorSettings = GeneratorSettings()
    loss: LossSettings = LossSettings()
    up: OptimiserSettings = OptimiserSettings(lr=1e-3, betas=_BETAS, milestones=(750, 1500, 2250))
    """Of G_UP (section 4: 0.001, decreased every 750 steps; released code: halved)."""
    # Two milestones at one step: a quarter. The released code notices them one step late.
    down: OptimiserSettings = OptimiserSettings(lr=2e-4, betas=_BETAS, milestones=(751, 751, 1501, 1501, 2251, 2251))
    """Of G_DN and of D_DN (section 4: 0.0002; released code: a quarter every 750 steps)."""


RECIPES: Mapping[str, AdaptationSettings] = {
    "quick": AdaptationSettings(
        course="forward",
        max_steps=100,
        save_every=25,
        patch=64,
        precision="bf16",
        up=OptimiserSettings(lr=1e-4, betas=_BETAS, schedule="cosine"),
    ),
    "paper": AdaptationSettings(),
}
"""quick: ours, the default, where a network that has learned before is at hand. paper: the released code's."""
