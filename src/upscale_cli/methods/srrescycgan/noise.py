"""The noise estimate sigma that the projection layer needs: the median of a wavelet's diagonal details.

sigma = median(|d|) / 0.6745 (Mallat's estimator; the paper's reference [14]), the mean over the three colours.
All of it runs in true float32 with autocast off: on the upsampled picture sigma is about 1e-5 of the range, and half
precision would multiply it.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

# High-pass decomposition filter of the Daubechies wavelet with 7 vanishing moments.
DB7 = (
    -0.07785205408506236, 0.39653931948230575, -0.7291320908465551, 0.4697822874053586,
    0.14390600392910627, -0.22403618499416572, -0.07130921926705004, 0.0806126091510659,
    0.03802993693503463, -0.01657454163101562, -0.012550998556013784, 0.00042957797300470274,
    0.0018016407039998328, 0.0003537138000010399,
)  # fmt: skip
GAUSSIAN = 0.6745
"""Median of |N(0, 1)|."""
FLAT = 0.25
"""Details below this many grey levels are a flat area, which says nothing about noise (a page, a clipped sky)."""
FLOOR = 1.0
"""The robust estimate is never below this many grey levels: 8 bits and any camera leave that much."""


def estimate_noise(y: Tensor, kind: Literal["upsampled", "robust"]) -> Tensor:
    """sigma of each picture in grey levels: (B, 3, h, w) in [0, 255] -> (B,) float32, detached (section 3.5)."""
    with torch.no_grad(), torch.autocast(y.device.type, enabled=False):
        y = y.float()
        return upsampled_noise(y) if kind == "upsampled" else robust_noise(y)


def upsampled_noise(y: Tensor, rows: int = 64) -> Tensor:
    """The official estimate: on the bilinearly x4 upsampled picture, all details; (B, 3, h, w) in [0, 255] -> (B,).

    The upsampled picture never exists whole: `rows` input rows are upsampled and filtered at a time. Values are divided
    by 255 in between, as in the official code: float32's rounding is then the same, and is a thousandth of this sigma.
    """
    return torch.stack([noise_level(_details_in_strips(picture, rows)) for picture in y[:, None]]) * 255


def robust_noise(y: Tensor) -> Tensor:
    """This project's estimate: on the input itself, flat areas left out, never below FLOOR; like `upsampled_noise`."""
    details = diagonal_details(y).abs().flatten(2)
    details = details.masked_fill(details < FLAT, torch.nan)
    sigma = details.nanmedian(dim=2).values.nan_to_num(0.0) / GAUSSIAN
    return sigma.mean(1).clamp_min(FLOOR)


def diagonal_details(x: Tensor) -> Tensor:
    """d: rows filtered first, then columns, stride 2, reflection of 7; (B, C, H, W) -> about half the size."""
    return _filter(_filter(x).transpose(2, 3)).transpose(2, 3)


def noise_level(details: Tensor) -> Tensor:
    """sigma = median(|d|) / 0.6745, the mean over colours; (3, h, w), which is overwritten -> scalar.

    Of two middle values the lower counts, as in the official code.
    """
    # numpy partitions in place; torch.median would copy the values, and their indices in 64 bits
    values = details.abs_().flatten(1).cpu().numpy()
    middle = (values.shape[1] - 1) // 2
    values.partition(middle, axis=1)
    return torch.from_numpy(values[:, middle]).div(GAUSSIAN).mean().to(details.device)


def _details_in_strips(picture: Tensor, rows: int) -> Tensor:
    """d of (1, 3, h, w) upsampled x4 and over 255, computed `rows` input rows at a time: (3, 2h + 1, 2w + 1)."""
    h, w = picture.shape[2:]
    out = torch.empty(picture.shape[1], 2 * h + 1, 2 * w + 1, device=picture.device)
    for first in range(0, 2 * h + 1, 2 * rows):
        last = min(first + 2 * rows, 2 * h + 1)
        lines = _upsampled_lines(picture, 2 * first - 7, 2 * last + 5) / 255  # all that the strip's taps reach
        out[:, first:last] = _filter(_taps_over(lines).transpose(2, 3)).transpose(2, 3)[0]
    return out


def _upsampled_lines(picture: Tensor, first: int, last: int) -> Tensor:
    """Lines [first, last) of the x4 picture, reflected beyond its border."""
    h = picture.shape[2]
    lines = _reflected(4 * h, torch.arange(first, last, device=picture.device))
    top, bottom = max(int(lines.min()) // 4 - 1, 0), min(int(lines.max()) // 4 + 2, h)
    part = F.interpolate(picture[:, :, top:bottom], scale_factor=4, mode="bilinear", align_corners=False)
    return part[:, :, lines - 4 * top]


def _filter(x: Tensor) -> Tensor:
    """DB7 along the rows' axis (2), stride 2, reflection of 7: (B, C, H, W) -> (B, C, H // 2 + 1, W)."""
    n = x.shape[2]
    return _taps_over(x[:, :, _reflected(n, torch.arange(-7, n + 7, device=x.device))])


def _taps_over(x: Tensor) -> Tensor:
    """DB7 along the rows' axis (2), stride 2, no border: (B, C, H, W) -> (B, C, H // 2 - 6, W).

    Line by line: a convolution of one channel computes sixteen on a CPU. The sums are the same, bit by bit.
    """
    last = x.shape[2] - len(DB7)
    out = x[:, :, 0 : last + 1 : 2] * DB7[0]
    for k, tap in enumerate(DB7[1:], 1):
        out.add_(x[:, :, k : k + last + 1 : 2], alpha=tap)
    return out


def _reflected(size: int, index: Tensor) -> Tensor:
    """Indices folded back into [0, size) by reflection without repeating the border, however small the picture."""
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)
