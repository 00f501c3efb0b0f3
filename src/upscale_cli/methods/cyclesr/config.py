"""What CycleSR's network of super-resolution is built from; a checkpoint's `options` in weights.toml hold the same."""

from typing import Literal

from pydantic import Field

from upscale_cli.config.toml_file import Settings

Padding = Literal["zeros", "replicate"]
DEPTHS = {"vdsr": 20, "srresnet": 16}
"""Blocks of each network, where the settings name no number of their own."""


class GeneratorSettings(Settings):
    """The network G_l2h ("Network Architecture"). The defaults are the paper's for track 2 of NTIRE 2017."""

    network: Literal["vdsr", "srresnet"] = "vdsr"
    """The modified VDSR, or SRResNet, which sees further: the paper's for the motion blur and noise of NTIRE 2018."""
    scale: Literal[2, 3, 4] = 4
    """Output pixels per input pixel and side (paper: 4)."""
    features: int = Field(default=64, ge=1)
    """Feature maps of every convolution but the last (VDSR and SRResNet: 64)."""
    blocks: int | None = Field(default=None, ge=1, examples=[20])
    """VDSR: convolutions, each behind BN and ReLU. SRResNet: residual blocks. Left out: 20 of VDSR, 16 of SRResNet."""
    padding: Padding = "zeros"
    """What convolutions find beyond the picture's border: zeros (published), or, ours, its outermost pixels again."""

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return self.blocks or DEPTHS[self.network]
