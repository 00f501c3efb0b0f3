"""G_UP of DualSR (section 4, network configuration): bilinear upsampling and a residual of eight convolutions."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.inference.borders import padded
from upscale_cli.inference.tiling import Edges
from upscale_cli.methods.dualsr.config import SCALE, GeneratorSettings
from upscale_cli.networks.reduced_gradients import convolved

DEPTH = 8
"""3x3 convolutions, and so the receptive field's radius in output pixels."""


class Generator(nn.Module):
    """G_UP with the official parameter names; (B, 3, h, w) RGB in [0, 1] -> (B, 3, 2h, 2w), not clamped.

    With more than one of `settings.passes` it goes on from what it has made, clamped.
    """

    def __init__(self, settings: GeneratorSettings | None = None) -> None:
        super().__init__()
        settings = settings or GeneratorSettings()
        features, self._passes = settings.features, settings.passes
        widths = [3, *[features] * (DEPTH - 1), 3]
        layers: list[nn.Module] = []
        for before, width in pairwise(widths):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])

    def initialise(self) -> None:
        """Random weights as of He et al., biases of zero (released code)."""
        for layer in self.model:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, body: torch.dtype = torch.float32) -> Tensor:
        """up(x) + residual, in float32; the gradients of the convolutions in the number format `body`."""
        convolutions = [layer for layer in self.model if isinstance(layer, nn.Conv2d)]
        for done in range(self._passes):
            upsampled = upsample(x.clamp(0, 1) if done else x)
            x = upsampled + convolved(upsampled, convolutions, body)
        return x

    def residual(self, upsampled: Tensor, edges: Edges) -> Tensor:
        """What is added to a tile of the upsampled picture, (B, 3, H, W): zeros beyond the sides that are borders of
        the picture, and DEPTH pixels fewer on the others."""
        features = upsampled
        for layer in self.model:
            if isinstance(layer, nn.Conv2d):
                features = F.conv2d(padded(features, 1, edges), layer.weight, layer.bias)
            else:
                features = features.relu()
        return features


def upsample(x: Tensor) -> Tensor:
    """Bilinear, the outer edges of both pixel grids in one place (the paper does not say which; released code)."""
    return F.interpolate(x, scale_factor=float(SCALE), mode="bilinear", align_corners=False)
