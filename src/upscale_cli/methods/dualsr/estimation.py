"""A kernel without learning it: the one that makes of an upsampler's picture the given one again, in closed form.

Ours. KernelGAN and DualSR learn the kernel as they find no other picture to hold on to; an upsampler that has learned
from others gives one, near enough to the truth that least squares find the kernel from it.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from upscale_cli.methods.dualsr.downsampler import SIZE, STRIDE, downsample, shaved
from upscale_cli.methods.dualsr.kernels import Kernel

RIDGE = 0.05
"""How much a kernel costs that is no Gaussian, as a share of the mean power that a weight of it sees."""
FLOOR = 1e-6
"""Added to that power, in [0, 1] squared: what flat pictures have."""
SHARP = 0.5
"""From which share of its halved picture's detail on a picture counts as sharp (docs/benchmarks.md)."""
_SIGMAS = np.linspace(0.2, 2.6, 17)
_ANGLES = np.arange(8) * np.pi / 8

_Matrix = NDArray[np.float64]


def estimated(x: Tensor, x_hat: Tensor) -> Kernel:
    """The kernel (13, 13), of sum 1, by which `downsample` makes x of x_hat.

    Least squares with a ridge: a weight counts for less the less the picture shows of it, and is then that of the
    Gaussian which fits best.

    x: (B, 3, h, w) RGB in [0, 1].  x_hat: (B, 3, 2h, 2w), what x is taken to have been made from.
    """
    power, shared = _normal_equations(x.double().mean(1, keepdim=True), x_hat.double().mean(1, keepdim=True))
    gaussian = _best_gaussian(power, shared)
    ridge = RIDGE * np.trace(power) / len(power) + FLOOR
    kernel = gaussian + np.linalg.solve(power + ridge * np.eye(len(power)), shared - power @ gaussian)
    return np.asarray(kernel / kernel.sum()).reshape(SIZE, SIZE)


def is_sharp(x: Tensor) -> bool:
    """Whether a picture has nearly as much detail as its pixels can hold, so that no blur has gone before them.

    Scenes look alike at every scale; what a blur wider than a pixel leaves has less detail than the same, halved.

    x: (B, 3, h, w) RGB in [0, 1].
    """
    grey = x.mean(1, keepdim=True)
    return _detail(grey) >= SHARP * _detail(F.avg_pool2d(grey, 2))


def _detail(grey: Tensor) -> float:
    """The mean square of second differences down and across."""
    down, across = (grey.diff(n=2, dim=dim).square().mean() for dim in (2, 3))
    return float(down + across) + FLOOR


def _normal_equations(x: Tensor, x_hat: Tensor) -> tuple[_Matrix, _Matrix]:
    """(169, 169) and (169,): mean products of what each weight sees with what the others see, and with x.

    Of deviations from each patch's mean: a kernel of sum 1 keeps that, and it tells nothing.
    """
    power, shared, samples = np.zeros((SIZE**2, SIZE**2)), np.zeros(SIZE**2), 0
    middle = x_hat.new_zeros(SIZE, SIZE)
    middle[SIZE // 2, SIZE // 2] = 1
    for patch, enlarged in zip(x[:, None], x_hat[:, None], strict=True):
        seen = F.unfold(enlarged, SIZE, stride=STRIDE)[0].numpy()
        target = shaved(patch, downsample(enlarged, middle)).reshape(-1).numpy()
        seen, target = seen - seen.mean(), target - target.mean()
        power += seen @ seen.T
        shared += seen @ target
        samples += len(target)
    return power / samples, shared / samples


def _best_gaussian(power: _Matrix, shared: _Matrix) -> _Matrix:
    candidates = np.stack(list(_gaussians()))
    errors = np.einsum("ki,ij,kj->k", candidates, power, candidates) - 2 * candidates @ shared
    best: _Matrix = candidates[errors.argmin()]
    return best


def _gaussians() -> Iterator[_Matrix]:
    """Gaussians of all widths and directions, (169,), of sum 1."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    for along, across, angle in product(_SIGMAS, _SIGMAS, _ANGLES):
        if across > along:
            continue
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        weights = np.exp(-((u / along) ** 2 + (v / across) ** 2) / 2)
        yield (weights / weights.sum()).ravel()
