"""The terms of Eq. (3) and (10) that only this room has, and some of ours, each a scalar without its weight.

x: the truth, x_hat: G_SR(y), RGB in [0, 255].  What rounding would spoil is computed in float32 whatever comes in.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.losses.content import content_loss

WINDOW, SIGMA = 11, 1.5
"""SSIM's Gaussian window (Wang et al. 2004, the paper's reference [23])."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""SSIM's constants for values in [0, 255]."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""MS-SSIM's exponents from the finest to the coarsest scale (Wang, Simoncelli and Bovik 2003)."""
LEAST_SIMILARITY = 1e-3
"""MS-SSIM takes a scale's similarity for no less: a fractional power has no value below zero and no slope at it."""


def tv_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_tv, Eq. (8): |grad x_hat - grad x| in both directions over the number of values; (B, 3, H, W) each -> scalar.

    Gradient *differences* are compared: it is no total variation of the output.
    """
    difference = x_hat - x
    horizontal = torch.diff(difference, dim=3).abs().sum()
    vertical = torch.diff(difference, dim=2).abs().sum()
    return (horizontal + vertical) / difference.numel()


def cycle_loss(y_prime: Tensor, y: Tensor) -> Tensor:
    """L_cyc, Eq. (9): mean |y' - y| with y' = G_LR(G_SR(y)); (B, 3, h, w) each -> scalar."""
    return content_loss(y_prime.float(), y.float())


def colour_loss(y: Tensor, target: Tensor) -> Tensor:
    """DSGAN's colour loss: mean difference of 5x5 means, which noise and compression hardly change; -> scalar.

    y, target: (B, 3, h, w), h and w at least 5.
    """
    return content_loss(*(F.avg_pool2d(side.float(), 5, stride=1) for side in (y, target)))


def ssim_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_ssim of Eq. (10): 1 - SSIM, the mean over colours; (B, 3, H, W) each -> scalar in [0, 2]."""
    similarity, _ = _similarity(x_hat.float(), x.float())
    return 1 - similarity.mean()


def ms_ssim_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_msssim of Eq. (10): 1 - MS-SSIM over five scales, the mean over colours; (B, 3, H, W) each -> scalar in [0, 1].

    Raises ValueError below 16 pixels a side, which cannot be halved four times.
    """
    halvings = len(SCALE_WEIGHTS) - 1
    if min(x.shape[2:]) < 2**halvings:
        raise ValueError(f"MS-SSIM needs at least {2**halvings} pixels a side, not {tuple(x.shape[2:])}")
    x_hat, x = x_hat.float(), x.float()
    product = x.new_ones(x.shape[:2])
    for weight in SCALE_WEIGHTS[:-1]:
        _, structure = _similarity(x_hat, x)
        product = product * structure.clamp_min(LEAST_SIMILARITY) ** weight
        x_hat, x = F.avg_pool2d(x_hat, 2), F.avg_pool2d(x, 2)
    similarity, _ = _similarity(x_hat, x)
    return 1 - (product * similarity.clamp_min(LEAST_SIMILARITY) ** SCALE_WEIGHTS[-1]).mean()


def flat_pictures(levels: Sequence[float]) -> Tensor:
    """Every combination of `levels` for red, green and blue, each as a picture of one pixel -> (n^3, 3, 1, 1).

    A network that continues its picture by reflection everywhere sees an endless flat area.
    """
    values = torch.tensor(levels, dtype=torch.float32)
    return torch.cartesian_prod(values, values, values)[:, :, None, None]


def _similarity(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM, and its factor of contrast and structure alone, each the mean over windows; (B, 3, H, W) -> (B, 3) both."""
    mean_a, mean_b, square_a, square_b, mixed = _windowed(torch.stack([a, b, a * a, b * b, a * b]))
    product, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
    structure = (2 * (mixed - product) + C2) / (square_a + square_b - squares + C2)
    luminance = (2 * product + C1) / (squares + C1)
    return (luminance * structure).mean((2, 3)), structure.mean((2, 3))


def _windowed(maps: Tensor) -> Tensor:
    """The Gaussian mean of each window that lies wholly inside; (..., H, W) -> (..., H', W').

    In the coarse scales of a patch, where the window does not fit, it is cut to the largest odd size that does.
    """
    size = min(WINDOW, *(side - (side + 1) % 2 for side in maps.shape[-2:]))
    rows, columns = (_windows(side, size, maps.device) for side in maps.shape[-2:])
    # As products with two matrices: to convolve a patch's maps one by one takes a CPU fifteen times as long.
    with torch.autocast(maps.device.type, enabled=False):
        return rows @ (maps @ columns.T)


def _windows(side: int, size: int, device: torch.device) -> Tensor:
    """Each row holds the weights of one window over `side` values, their sum 1; (side - size + 1, side)."""
    places = torch.arange(side, device=device)
    distance = places - places[: side - size + 1, None] - size // 2
    weights = torch.exp(-distance.square() / (2 * SIGMA**2)) * (distance.abs() <= size // 2)
    return weights / weights.sum(1, keepdim=True)
