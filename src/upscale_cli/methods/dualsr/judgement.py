"""What can be said of a network that learned from one picture, by the middle of that picture."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from upscale_cli.imaging.niqe import niqe
from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.quality import psnr, ssim
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.methods.dualsr.config import SCALE
from upscale_cli.methods.dualsr.downsampler import downsample, shaved
from upscale_cli.methods.dualsr.imresize import doubled
from upscale_cli.methods.dualsr.kernels import Kernel, widths

SIDE = 256
"""Pixels of the picture a side, at most: judging takes no longer for a large one."""

Pixels = NDArray[np.uint8]


class Judgement(NamedTuple):
    """width: of the kernel, as of `kernels.widths`.  consistency: PSNR in dB of the result, reduced by the kernel,
    beside the picture.  niqe, bicubic_niqe: lower is better; None where the picture is too small or too flat."""

    width: tuple[float, float]
    consistency: float
    niqe: float | None
    bicubic_niqe: float | None


class Middle:
    """The middle of a picture, and of what its enlargement should be."""

    def __init__(self, pixels: Samples, truth: Samples | None = None) -> None:
        """pixels: (H, W, 1 or 3).  truth: (2H, 2W, 1 or 3), None where it is not known."""
        height, width = (min(side, SIDE) for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        self.x = to_tensor(pixels, (left, top, left + width, top + height))
        self._truth: Pixels | None = None
        if truth is not None:
            box = SCALE * left, SCALE * top, SCALE * (left + width), SCALE * (top + height)
            self._truth = _levels(to_tensor(truth, box))

    @torch.no_grad()
    def figures(self, network: nn.Module) -> dict[str, float]:
        """PSNR and SSIM on luminance of what `network` makes of it; nothing where the truth is not known."""
        if self._truth is None:
            return {}
        result, border = _levels(self._enlarged(network)), SCALE
        return {
            "psnr_y": psnr(result, self._truth, on="y", border=border),
            "ssim_y": ssim(result, self._truth, on="y", border=border),
        }

    @torch.no_grad()
    def judged(self, network: nn.Module, kernel: Kernel) -> Judgement:
        """`network` judged without the truth; `kernel` is what made the picture smaller, as far as is known."""
        result = self._enlarged(network)
        reduced = downsample(result, torch.from_numpy(kernel).float())
        error = float((reduced - shaved(self.x, reduced)).square().mean())
        consistency = -10 * math.log10(max(error, 1e-10))
        return Judgement(widths(kernel), consistency, _niqe(result), _niqe(doubled(self.x)))

    def _enlarged(self, network: nn.Module) -> Tensor:
        device = next(network.parameters()).device
        result: Tensor = network(self.x.to(device))
        return result.clamp(0, 1).cpu()


def _levels(x: Tensor) -> Pixels:
    return from_tensor(x, np.uint8, "rgb").astype(np.uint8)


def _niqe(x: Tensor) -> float | None:
    try:
        value = niqe(_levels(x))
    except ValueError:  # fewer than two blocks
        return None
    return None if math.isnan(value) else value
