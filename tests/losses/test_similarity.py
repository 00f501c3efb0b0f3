"""The structural terms: their definitions, extremes, precision and gradients."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from upscale_cli.imaging.quality import ssim
from upscale_cli.losses.similarity import ms_ssim_loss, ssim_loss

STRUCTURAL = [ssim_loss, ms_ssim_loss]


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> Iterator[None]:
    """These networks are tiny: more than one thread only costs time."""
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _pixels(side: int = 128) -> np.ndarray:
    """A photograph's patch, by default as large as the paper's."""
    return data.chelsea()[60 : 60 + side, 140 : 140 + side].copy()


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float()


def _noisy(x: Tensor, sigma: float) -> Tensor:
    return (x + sigma * torch.randn_like(x)).clamp(0, 255)


@pytest.mark.parametrize("side", [40, 128])
def test_ssim_is_the_metric(side: int):
    pixels = _pixels(side)
    other = (pixels // 32 * 32).astype(np.uint8)
    assert 1 - ssim_loss(_tensor(other), _tensor(pixels)).item() == pytest.approx(ssim(other, pixels), rel=1e-5)


@pytest.mark.parametrize("loss", STRUCTURAL)
def test_structure_is_lost_with_noise(loss: Callable[[Tensor, Tensor], Tensor]):
    x = _tensor(_pixels())
    course = [loss(_noisy(x, sigma), x).item() for sigma in (0, 5, 20, 60)]
    assert course[0] == pytest.approx(0, abs=1e-5)
    assert sorted(course) == course
    assert course[-1] > 0.1


@pytest.mark.parametrize("loss", STRUCTURAL)
def test_autocast_does_not_reach_the_structural_terms(loss: Callable[[Tensor, Tensor], Tensor]):
    x = _tensor(_pixels(64))
    x_hat = _noisy(x, 10)
    expected = loss(x_hat, x).item()
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(x_hat, x).item() == expected
        rounded = loss(x_hat.bfloat16(), x)
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("loss", STRUCTURAL)
@pytest.mark.parametrize("case", ["same", "black", "negative", "noise", "flat"])
def test_gradients_are_finite(loss: Callable[[Tensor, Tensor], Tensor], case: str):
    x = torch.full((1, 3, 48, 48), 255.0) if case == "flat" else _tensor(_pixels(48))
    others = {"same": x, "black": x * 0, "negative": 255 - x, "noise": torch.rand_like(x) * 255, "flat": x}
    x_hat = others[case].clone().requires_grad_()
    value = loss(x_hat, x)
    value.backward()
    assert 0 <= value.item() + 1e-6 <= 2
    assert x_hat.grad is not None
    assert bool(torch.isfinite(x_hat.grad).all())
    assert x_hat.grad.abs().max() < 10


@pytest.mark.parametrize("loss", STRUCTURAL)
def test_gradients_are_slopes(loss: Callable[[Tensor, Tensor], Tensor]):
    x = _tensor(_pixels(48))
    x_hat = _noisy(x, 15).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x_hat, x), x_hat)
    with torch.no_grad():
        step = 20 * gradient / gradient.norm()
        measured = (loss(x_hat + step, x) - loss(x_hat - step, x)).item() / (2 * step.norm().item())
    assert measured == pytest.approx(gradient.norm().item(), rel=0.03)


def test_ms_ssim_needs_sixteen_pixels():
    x = torch.rand(1, 3, 16, 23) * 255
    assert ms_ssim_loss(x, x).item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="at least 16 pixels"):
        ms_ssim_loss(x[:, :, :15], x[:, :, :15])
