"""The door of this room: [0, 1] outside, [0, 255] inside; RCAN on feature maps of a whole picture."""

from functools import partial

import torch
from torch import Tensor

from upscale_cli.inference.convolution import Convolution, convolve, placed
from upscale_cli.inference.device import Placement
from upscale_cli.inference.feature_map import FeatureMap
from upscale_cli.inference.tiling import Edges
from upscale_cli.methods.rwsr.generator import (
    HEAD_HALO,
    RESIDUAL_HALO,
    TAIL_HALO,
    Block,
    Generator,
    Kernels,
    attention,
    head,
    residual,
)
from upscale_cli.methods.rwsr.reconstruction import HALO, Reconstruction, fold, reconstruct

MAPS = 4
"""Held at once: behind the head, where a group began, what has become of it, and a block's residual."""


class AttentionNetwork:
    """RCAN as the upscaler runs it (an `inference.network.StagedNetwork`)."""

    halo = max(HALO, HEAD_HALO, RESIDUAL_HALO, TAIL_HALO)

    def __init__(self, generator: Generator, placement: Placement) -> None:
        self._settings = s = generator.settings
        self.scale: int = s.scale
        # The last step's arithmetic is that of 25 scale^2 / 3 features of the body's convolutions.
        steps, convolutions = s.groups * (s.blocks + 1) + 2, s.groups * (2 * s.blocks + 1) + 1
        self.work = steps * (1 + 25 * s.scale**2 / (3 * s.features * convolutions))
        self._itemsize = placement.dtype.itemsize
        self._kernels: Kernels = placed(generator.kernels(placement.dtype), placement.device)
        self._reconstruction: Reconstruction = placed(fold(generator.kernels().reconstruction), placement.device)

    def tile_bytes(self, height: int, width: int) -> int:
        """In the body three feature maps; in the end one, the picture twice, and the steps near a border.

        Those are reckoned as in a tile of 64 pixels: four rows of it, and two maps as large as the picture.
        """
        features, pixels = self._settings.features, self.scale**2
        body = 3 * features * self._itemsize
        end = 4 * (features + 2 * 3 * pixels + 2 * HALO * 2 * features * pixels // 64)
        return max(body, end) * height * width

    def feature_bytes(self, height: int, width: int) -> int:
        """Of MAPS feature maps."""
        return MAPS * self._settings.features * self._itemsize * height * width

    def features(self, picture: FeatureMap) -> FeatureMap:
        """What the upsampler enlarges."""
        shallow = picture.convolved(self._head, HEAD_HALO)
        features = shallow.copy()
        for group in self._kernels.groups:
            start, features = features, features.copy()
            for block in group.blocks:
                step, weights = partial(_residual, block=block), partial(attention, block=block)
                features.add_attended(step, RESIDUAL_HALO, weights)
            start.add_convolved(features, partial(_convolve, conv=group.tail), TAIL_HALO)
            features = start
        shallow.add_convolved(features, partial(_convolve, conv=self._kernels.body_tail), TAIL_HALO)
        return shallow

    def pixels(self, features: Tensor, edges: Edges) -> Tensor:
        """The enlarged picture, clipped."""
        return reconstruct(features, self._reconstruction, edges).clamp_(0, 255).div_(255)

    def _head(self, x: Tensor, edges: Edges) -> Tensor:
        return head((x * 255).contiguous(memory_format=torch.channels_last), self._kernels, edges)


def _residual(x: Tensor, edges: Edges, block: Block) -> Tensor:
    return residual(x, block, edges)


def _convolve(x: Tensor, edges: Edges, conv: Convolution) -> Tensor:
    return convolve(x, conv, edges)
