"""What a SRResCycGAN generator is built from; a checkpoint's `options` in weights.toml hold the same keys."""

from typing import Literal

from pydantic import Field

from upscale_cli.config.toml_file import Settings


class GeneratorSettings(Settings):
    """The generator G_SR (paper, section 3.3). The defaults are the official network."""

    features: int = Field(default=64, ge=1)
    """Feature maps of every convolution but the last (section 3.3: 64)."""
    blocks: int = Field(default=5, ge=1)
    """Residual blocks between encoder and decoder (section 3.3: 5)."""
    context_blocks: int = Field(default=0, ge=0)
    """Further residual blocks at the input's resolution, whose features join those behind the first block: each sees
    two input pixels farther on every side (ours; the paper has none)."""
    noise_estimate: Literal["upsampled", "robust"] = "upsampled"
    """Where sigma comes from: the upsampled picture (official), or the robust estimate of this project's own models."""
    decoder_padding: Literal["zeros", "reflect"] = "zeros"
    """What the decoder finds beyond the picture's border. Zeros (official) darken or tint its two outermost pixels."""
