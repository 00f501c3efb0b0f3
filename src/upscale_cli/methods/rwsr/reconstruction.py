"""RCAN's last part: from features to the enlarged picture, step by step for training, as one convolution otherwise.

Between its convolutions are pixel shuffles only, so all of it is linear: for each input pixel a sum over the features
of 5x5 input pixels. Computed so it takes a tenth of the arithmetic. Near the picture's border, where each convolution
finds values of its own, that sum is another one, and the steps are done.
"""

from math import prod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.inference.borders import inner
from upscale_cli.inference.convolution import Convolution, convolve
from upscale_cli.inference.tiling import WHOLE, Edges

HALO = 2
"""Input pixels that an output pixel is made of, on each side; so many does `reconstruct` eat on an inner side."""


class Reconstruction(NamedTuple):
    """The last part's tensors: a convolution before each pixel shuffle, the last one, and what all of them make.

    folded: from `fold`; left out where the parameters learn.
    """

    upsampler: tuple[Convolution, ...]
    last: Convolution
    folded: Convolution | None = None

    @property
    def steps(self) -> list[int]:
        """By how much each pixel shuffle enlarges."""
        return [int((conv.weight.shape[0] // conv.weight.shape[1]) ** 0.5) for conv in self.upsampler]


def reconstruct(features: Tensor, parts: Reconstruction, edges: Edges = WHOLE) -> Tensor:
    """The enlarged picture, mean shift included: (B, features, h, w) -> (B, 3, s h', s w') in [0, 255], not clipped.

    On inner sides h' and w' are smaller by HALO.  The sum is the picture itself, of whose levels half precision would
    lose some: the last convolution, and the folded one, are computed in float32.
    """
    features = features.to(parts.upsampler[0].weight.dtype)
    height, width = features.shape[2:]
    if parts.folded is None or min(height, width) < 2 * HALO:
        return _step_by_step(features, parts, edges)
    scale = prod(parts.steps)
    y = F.pixel_shuffle(convolve(features, parts.folded, edges), scale)
    near, far = slice(None, HALO * scale), slice(-HALO * scale, None)
    if edges.top:
        y[:, :, near] = _step_by_step(features[:, :, : 2 * HALO], parts, edges._replace(bottom=False))
    if edges.bottom:
        y[:, :, far] = _step_by_step(features[:, :, -2 * HALO :], parts, edges._replace(top=False))
    if edges.left:
        y[..., near] = _step_by_step(features[..., : 2 * HALO], parts, edges._replace(right=False))
    if edges.right:
        y[..., far] = _step_by_step(features[..., -2 * HALO :], parts, edges._replace(left=False))
    return y


def fold(parts: Reconstruction) -> Reconstruction:
    """`parts`, in float32, with all steps as one convolution, (3 s^2, features, 5, 5) before one pixel shuffle by s."""
    double = Reconstruction(tuple(_in_double(conv) for conv in parts.upsampler), _in_double(parts.last))
    count, size = parts.last.weight.shape[1], 2 * HALO + 1
    nothing = parts.last.weight.new_zeros(1, count, size, size, dtype=torch.float64)
    impulses = nothing.repeat(count, 1, 1, 1)
    impulses[range(count), range(count), HALO, HALO] = 1
    bias = F.pixel_unshuffle(_step_by_step(nothing, double, WHOLE), prod(parts.steps))
    answers = F.pixel_unshuffle(_step_by_step(impulses, double, WHOLE), prod(parts.steps)) - bias
    # What a pixel's answer puts to its left is what the pixel there takes from its right.
    weight = answers.flip(2, 3).transpose(0, 1).float().contiguous(memory_format=torch.channels_last)
    return parts._replace(folded=Convolution(weight, bias[0, :, HALO, HALO].float(), parts.last.padding))


def _in_double(conv: Convolution) -> Convolution:
    return conv._replace(weight=conv.weight.double(), bias=conv.bias.double())


def _step_by_step(features: Tensor, parts: Reconstruction, edges: Edges) -> Tensor:
    enlarged, eaten = 1, 0
    for conv, step in zip(parts.upsampler, parts.steps, strict=True):
        features = F.pixel_shuffle(convolve(features, conv, edges), step)
        enlarged, eaten = enlarged * step, (eaten + 1) * step
    y = convolve(features.to(parts.last.weight.dtype), parts.last, edges)
    return inner(y, HALO * enlarged - (eaten + 1), edges)
