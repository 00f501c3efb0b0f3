"""R of DualSR's Eq. (3): what KernelGAN (Bell-Kligler et al., NeurIPS 2019) asks of a kernel, and when it does."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.methods.dualsr.downsampler import SIZE, STRIDE, shaved

_SUM_WEIGHT, _BOUNDARIES_WEIGHT = 0.5, 0.5
_BICUBIC_WEIGHTS = (5.0, 5e-2, 5e-4, 5e-6)
_CENTRED_WEIGHT, _SPARSE_WEIGHT = 1.0, 5.0
_EVERY = 200
"""Steps between changes of the weights."""
_NEAR, _TIMES = 0.4, 3
"""The weights begin to change once the bicubic term was below this so often in a row."""
_PENALTY = 30.0
_SPARSITY = 0.2
# The cubic of a = -1/2 at 0.25, 0.75 ... samples of the halved grid, over 2.
_TAPS = (-0.01171875, -0.03515625, 0.11328125, 0.43359375, 0.43359375, 0.11328125, -0.03515625, -0.01171875)


class Regularisation(nn.Module):
    """The five terms and their weights, which change with what was reached; its state is that change."""

    stage: Tensor
    near: Tensor
    boundaries: Tensor
    bicubic: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("stage", torch.zeros((), dtype=torch.long))
        self.register_buffer("near", torch.zeros((), dtype=torch.long))
        self.register_buffer("boundaries", penalty_mask(), persistent=False)
        self.register_buffer("bicubic", torch.outer(torch.tensor(_TAPS), torch.tensor(_TAPS)), persistent=False)

    def terms(self, kernel: Tensor, hr: Tensor, fake_lr: Tensor) -> dict[str, Tensor]:
        """Each term without its weight.  kernel: (13, 13).  hr: y, (B, 3, H, W).  fake_lr: G_DN(y)."""
        return {
            "bicubic": bicubic_loss(hr, fake_lr, self.bicubic),
            "sum": (1 - kernel.sum()).abs(),
            "boundaries": (kernel * self.boundaries).abs().mean(),
            "centred": centred_loss(kernel),
            "sparse": (kernel.abs() ** _SPARSITY).mean(),
        }

    @property
    def weights(self) -> dict[str, float]:
        """Of each term in the step to come."""
        stage = int(self.stage)
        late = stage >= 2
        return {
            "bicubic": _BICUBIC_WEIGHTS[stage],
            "sum": _SUM_WEIGHT,
            "boundaries": _BOUNDARIES_WEIGHT,
            "centred": _CENTRED_WEIGHT * late,
            "sparse": _SPARSE_WEIGHT * late,
        }

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """R: the sum of `terms` by their weights.  A term of weight zero has no part, not even a gradient."""
        return torch.stack([weight * terms[name] for name, weight in self.weights.items() if weight]).sum()

    def advance(self, step: int, bicubic: float) -> None:
        """Step `step` (from 0) is done, in which the bicubic term was `bicubic`."""
        if step == 0:
            return
        if int(self.near) < _TIMES:
            self.near.copy_(self.near + 1 if bicubic < _NEAR else torch.zeros_like(self.near))
        elif step % _EVERY == 0 and int(self.stage) < len(_BICUBIC_WEIGHTS) - 1:
            self.stage += 1


def bicubic_loss(hr: Tensor, fake_lr: Tensor, taps: Tensor) -> Tensor:
    """How far G_DN(y) is from a bicubic reduction of y, a mean square.

    The released code's target is, in each channel, the sum over all channels, three times as bright as meant: it makes
    the kernel's sum rise above 2 until this term's weight falls.
    """
    target = F.conv2d(hr.sum(1, keepdim=True), taps[None, None], stride=STRIDE, padding=(len(taps) - 1) // 2)
    return F.mse_loss(fake_lr, shaved(target, fake_lr).expand_as(fake_lr))


def centred_loss(kernel: Tensor) -> Tensor:
    """The mean square of how far, down and across, the kernel's centre of mass is from that of both pixel grids."""
    places = torch.arange(len(kernel), dtype=kernel.dtype, device=kernel.device)
    mass = torch.stack([(kernel.sum(1) * places).sum(), (kernel.sum(0) * places).sum()]) / kernel.sum()
    return F.mse_loss(mass, torch.full_like(mass, centre(len(kernel))))


def centre(size: int) -> float:
    """Where the centre of mass of a kernel of `size` rows must be, so that both pixel grids share their outer edges."""
    return size // 2 + 0.5 * (STRIDE - size % 2)


def penalty_mask(size: int = SIZE) -> Tensor:
    """What weights far from the kernel's middle cost, (size, size): zero within, rising with the distance."""
    places = torch.arange(size, dtype=torch.float64) - size // 2
    bell = torch.exp(-(places**2) / (2 * size**2))
    mask = _PENALTY * (1 - torch.outer(bell, bell))
    middle = size // 2 + size % 2
    margin = (size - middle) // 2 - 1
    mask[margin : size - margin, margin : size - margin] = 0
    return mask.float()
