"""How alike the structure of two pictures is.  RGB in [0, 255]; scalars, unweighted, in float32 whatever comes in."""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
"""SSIM's Gaussian window (Wang et al. 2004)."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""SSIM's constants for values in [0, 255]."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""MS-SSIM's exponents from the finest to the coarsest scale (Wang, Simoncelli and Bovik 2003)."""
LEAST_SIMILARITY = 1e-3
"""MS-SSIM takes a scale's similarity for no less: a fractional power has no value below zero and no slope at it."""


def ssim_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_ssim (SRResCycGAN, Eq. (10)): 1 - SSIM, the mean over colours; (B, 3, H, W) each -> scalar in [0, 2]."""
    similarity, _ = _similarity(x_hat.float(), x.float())
    return 1 - similarity.mean()


def ms_ssim_loss(x_hat: Tensor, x: Tensor) -> Tensor:
    """L_msssim (SRResCycGAN, Eq. (10)): 1 - MS-SSIM over five scales, the mean over colours; -> scalar in [0, 1].

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
