"""A kernel in closed form, from a picture and what it is taken to have been made from."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.degradation.operations import anisotropic_kernel
from upscale_cli.methods.dualsr.downsampler import SIZE, STRIDE, downsample
from upscale_cli.methods.dualsr.estimation import estimated, is_sharp
from upscale_cli.methods.dualsr.kernels import Kernel, prepared, reduction, widths


def _detail(seed: int = 0, side: int = 96) -> Tensor:
    """(4, 3, side, side) in [0, 1]: all frequencies, the lower ones stronger, as pictures have them."""
    rng = np.random.default_rng(seed)
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    waves = np.fft.fft2(rng.standard_normal((4, 3, side, side))) / (frequencies + 1 / side)
    planes = np.fft.ifft2(waves).real
    planes -= planes.min((2, 3), keepdims=True)
    return torch.from_numpy(planes / planes.max((2, 3), keepdims=True))


def _reduced(x_hat: Tensor, kernel: Kernel) -> Tensor:
    """Half as large; the border, which no kernel reaches, is of no account."""
    inside = downsample(x_hat, torch.from_numpy(kernel))
    margin = (x_hat.shape[-1] // STRIDE - inside.shape[-1]) // 2
    return F.pad(inside, (margin, margin, margin, margin), mode="replicate")


def _alike(a: Kernel, b: Kernel) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.mark.parametrize("angle", [0.0, 0.8, 2.4])
@pytest.mark.parametrize("variances", [(1.0, 1.0), (4.5, 0.8), (0.3, 0.3)])
def test_the_kernel_of_what_it_was_made_from_is_found(variances: tuple[float, float], angle: float) -> None:
    kernel = prepared(anisotropic_kernel(variances, angle, 11, 0.25, 1))
    x_hat = _detail()
    found = estimated(_reduced(x_hat, kernel), x_hat)
    assert found.shape == (SIZE, SIZE)
    assert found.sum() == pytest.approx(1)
    assert _alike(found, kernel) > 0.99


def test_neither_brightness_nor_contrast_matters() -> None:
    kernel = prepared(anisotropic_kernel((3.0, 1.0), 0.5, 11, 0.25, 1))
    x_hat = _detail()
    found, other = (estimated(_reduced(x, kernel), x) for x in (x_hat, 0.3 + x_hat / 2))
    assert _alike(found, other) > 0.999


def test_what_a_picture_does_not_show_is_a_gaussians() -> None:
    stripes = torch.sin(torch.arange(96.0) / 3).expand(1, 3, 96, 96).double() / 4 + 0.5
    kernel = prepared(anisotropic_kernel((4.0, 1.0), 0.0, 11, 0.0, 1))  # wide across the stripes
    found = estimated(_reduced(stripes, kernel), stripes)
    reduced, again = (downsample(stripes, torch.from_numpy(k)) for k in (kernel, found))
    assert (again - reduced).abs().max() < 0.01
    assert found.min() > -0.01


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_picture_has_some_kernel(level: float) -> None:
    flat = torch.full((2, 3, 24, 24), level)
    found = estimated(flat, torch.full((2, 3, 48, 48), level))
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)
    assert np.isfinite(widths(found)).all()


@pytest.mark.parametrize("contrast", [1.0, 0.2])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_picture_is_sharp_or_blurred_whatever_its_contrast(seed: int, contrast: float) -> None:
    scene = 0.3 + contrast * (_detail(seed, 192) - 0.3)
    for name in ("box", "bicubic", "lanczos"):
        assert is_sharp(_reduced(scene, reduction(name)))
    for variances in ((1.7, 1.7), (4.0, 1.0), (5.0, 5.0)):
        assert not is_sharp(_reduced(scene, prepared(anisotropic_kernel(variances, 0.4, 11, 0.25, 1))))
