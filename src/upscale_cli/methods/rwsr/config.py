"""What an RCAN is built from; a checkpoint's `options` in weights.toml hold the same keys."""

from typing import Literal

from pydantic import Field, model_validator

from upscale_cli.config.toml_file import Settings


class GeneratorSettings(Settings):
    """The generator G (paper, section 3.2.1). The defaults are RCAN as it was published, 15.6 million numbers."""

    scale: Literal[2, 3, 4, 8] = 4
    """Output pixels per input pixel and side (RWSR: 4; RCAN was published for these four)."""
    groups: int = Field(default=10, ge=1)
    """Residual groups (RCAN: 10)."""
    blocks: int = Field(default=20, ge=1)
    """Residual blocks in each group (RCAN: 20)."""
    features: int = Field(default=64, ge=1)
    """Feature maps of every convolution but the last (RCAN: 64)."""
    reduction: int = Field(default=16, ge=1)
    """How many times fewer maps channel attention has in its middle (RCAN: 16)."""
    padding: Literal["zeros", "replicate"] = "zeros"
    """What convolutions find beyond the picture's border: zeros (RCAN), or, ours, its outermost pixels again."""

    @model_validator(mode="after")
    def _leaves_a_middle(self) -> "GeneratorSettings":
        if self.features < self.reduction:
            raise ValueError(f"features = {self.features} over reduction = {self.reduction} leaves no map to attention")
        return self
