"""Sharpened originals to learn from (Wang et al., "Real-ESRGAN", ICCVW 2021, which calls what they train Real-ESRGAN+).

A network that is compared with them draws crisper edges.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.imaging.sharpening import REACH, SIGMA


def sharpened(x: Tensor, amount: float, scale: int) -> Tensor:
    """What `imaging.sharpening.sharpen` does to a picture, for batches on any device; (B, 3, H, W) in [0, 255]."""
    sigma = SIGMA * scale
    radius = math.ceil(REACH * sigma)
    places = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-places.square() / (2 * sigma**2))
    weights = weights / weights.sum()
    batch, colours, height, width = x.shape
    maps = F.pad(x.reshape(batch * colours, 1, height, width), (radius,) * 4, mode="replicate")
    mean = F.conv2d(F.conv2d(maps, weights[None, None, None]), weights[None, None, :, None])
    return (x + amount * (x - mean.reshape(x.shape))).clamp(0, 255)
