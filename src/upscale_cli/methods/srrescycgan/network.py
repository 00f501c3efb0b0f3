"""The door of this room: [0, 1] outside, [0, 255] inside; the generator in tiles, the projection over all of them."""

import math

import torch
from torch import Tensor

from upscale_cli.inference.borders import cropped, trimmed
from upscale_cli.inference.convolution import placed
from upscale_cli.inference.device import Placement
from upscale_cli.inference.tiling import Frame
from upscale_cli.methods.srrescycgan.generator import (
    JOIN,
    SCALE,
    Generator,
    Kernels,
    join,
    projection_factor,
    residual,
    residual_energy,
    upsample,
)
from upscale_cli.methods.srrescycgan.noise import estimate_noise

SUPPRESSED = 0.1
"""The share of the residual that the projection may take away without a word."""


class ProjectedNetwork:
    """SRResCycGAN's generator as the upscaler runs it (an `inference.network.Network`)."""

    scale = SCALE

    def __init__(self, generator: Generator, placement: Placement, *, projection: bool) -> None:
        self._kernels: Kernels = placed(generator.kernels(placement.dtype), placement.device)
        self._alpha = generator.alpha.detach().to(placement.device)
        self._settings = generator.settings
        self._projection = projection
        self._itemsize = placement.dtype.itemsize
        # What the convolutions eat, and the half of an input pixel at a tile's end that bilinear upsampling gets wrong
        # there for want of a neighbour; in whole input pixels.
        self.halo = math.ceil((self._kernels.radius + SCALE // 2) / SCALE)
        self._excess = 0
        if self._kernels.context is not None:
            behind = self._kernels.radius - JOIN
            more = math.ceil((behind + SCALE // 2) / SCALE)
            self.halo = self._kernels.context.radius + more
            self._excess = SCALE * more - behind

    def tile_bytes(self, height: int, width: int) -> int:
        """Three feature maps are alive at once, the context's if there is one, and the float32 encoder's output."""
        features = self._settings.features * SCALE * SCALE * height * width
        maps = 3 if self._kernels.context is None else 4
        return features * (maps * self._itemsize + 4)

    def measure(self, picture: Tensor) -> Tensor:
        """sigma in grey levels, (1,)."""
        if not self._projection:
            return picture.new_zeros(1)
        return estimate_noise(picture * 255, self._settings.noise_estimate)

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        """The residual before the projection."""
        kernels = self._kernels
        upsampled, margins = trimmed(upsample(x * 255), frame, kernels.radius, SCALE)
        upsampled = upsampled.contiguous(memory_format=torch.channels_last)
        context = join(x * 255, kernels, frame.edges, self._excess)
        return cropped(residual(upsampled, kernels, frame.edges, context), margins).contiguous()

    def contribution(self, partial: Tensor) -> Tensor:
        """||r||^2, (B,)."""
        return residual_energy(partial)

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:
        """The projection's factor, (B,)."""
        if not self._projection:
            return torch.ones_like(measured)
        return projection_factor(total, measured, self._alpha, 3 * pixels)

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:
        """clip(up(y) - factor * residual)."""
        margins = [SCALE * side for side in frame[:4]]
        upsampled = cropped(upsample(x * 255), margins)
        return (upsampled - partial * settled.reshape(-1, 1, 1, 1)).clamp_(0, 255).div_(255)

    def remarks(self, settled: Tensor) -> list[str]:
        """A word where the projection took away much of the detail."""
        suppressed = 1 - float(settled.mean())
        if suppressed <= SUPPRESSED:
            return []
        return [
            f"the noise estimate is low, so the projection suppressed {suppressed:.0%} of the detail "
            "(--projection off keeps it)"
        ]
