"""The door of this room: G_UP in tiles."""

import math

import torch
from torch import Tensor

from upscale_cli.inference.borders import cropped, trimmed
from upscale_cli.inference.device import Placement
from upscale_cli.inference.tiling import Frame
from upscale_cli.methods.dualsr.config import SCALE, GeneratorSettings
from upscale_cli.methods.dualsr.generator import DEPTH, Generator, upsample


class UpNetwork:
    """G_UP as the upscaler runs it (an `inference.network.Network`): purely local."""

    scale = SCALE
    # What the convolutions eat, and the half of an input pixel at a tile's end that bilinear upsampling gets wrong.
    halo = math.ceil((DEPTH + SCALE // 2) / SCALE)

    def __init__(self, generator: Generator, settings: GeneratorSettings, placement: Placement) -> None:
        generator = generator.requires_grad_(False).to(placement.device, placement.dtype)
        self._generator = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._features = settings.features
        self._dtype = placement.dtype

    def tile_bytes(self, height: int, width: int) -> int:
        """Two feature maps are alive at once, and one that is padded."""
        return 3 * self._features * self._dtype.itemsize * SCALE * SCALE * height * width

    def measure(self, picture: Tensor) -> Tensor:
        """Nothing: (1,)."""
        return picture.new_zeros(1)

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        """The residual."""
        upsampled, margins = trimmed(upsample(x), frame, DEPTH, SCALE)
        upsampled = upsampled.to(self._dtype, memory_format=torch.channels_last)
        return cropped(self._generator.residual(upsampled, frame.edges), margins).float().contiguous()

    def contribution(self, partial: Tensor) -> Tensor:
        """Nothing: (B,)."""
        return partial.new_zeros(len(partial), dtype=torch.float64)

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:  # noqa: ARG002 - a network's protocol
        """Ones: nothing depends on the whole picture."""
        return torch.ones_like(measured)

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:  # noqa: ARG002
        """up(x) + residual, clamped."""
        return (cropped(upsample(x), [SCALE * side for side in frame[:4]]) + partial).clamp_(0, 1)

    def remarks(self, settled: Tensor) -> list[str]:  # noqa: ARG002
        """Nothing."""
        return []
