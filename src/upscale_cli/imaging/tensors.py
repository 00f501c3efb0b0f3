"""Integer samples <-> float32 RGB tensors in [0, 1], a box at a time: no picture is ever whole as floats."""

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from upscale_cli.errors import PictureError
from upscale_cli.imaging.picture import Channels, Samples

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""


def to_tensor(pixels: Samples, box: Box | None = None) -> Tensor:
    """Pixels (H, W, 1 or 3), or the `box` of them, -> (1, 3, h, w) float32 RGB in [0, 1]; grey in all three."""
    if box is not None:
        left, top, right, bottom = box
        pixels = pixels[top:bottom, left:right]
    planes = np.moveaxis(pixels, 2, 0).astype(np.float32, order="C")
    planes /= np.iinfo(pixels.dtype).max
    return torch.from_numpy(planes).expand(3, -1, -1).contiguous()[None]


def from_tensor(tensor: Tensor, dtype: DTypeLike, channels: Channels) -> Samples:
    """(1, 3, h, w) in [0, 1] -> (h, w, 1 or 3) of uint8 or uint16: clamped, to the nearest level, halves to even.

    Grey is the mean of the three.  Raises PictureError for a value that is no number: a fault is not a colour.
    """
    planes = tensor[0].float()
    if not bool(torch.isfinite(planes).all()):
        raise PictureError("the model gave values that are no numbers", "try --precision fp32")
    if channels == "grey":
        planes = planes.mean(dim=0, keepdim=True)
    levels = planes.clamp(0, 1).mul_(65535.0).round_()
    if np.dtype(dtype) == np.uint8:
        # By way of 16 bits: a picture that is kept in them until its end comes to the very same levels.
        levels.div_(257.0).round_()
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy()).astype(dtype)
