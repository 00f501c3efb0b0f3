"""Kernels in the place where both pixel grids meet, and how a learned one is judged."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from upscale_cli.methods.dualsr.config import REDUCTIONS
from upscale_cli.methods.dualsr.downsampler import downsample, shaved
from upscale_cli.methods.dualsr.generator import upsample
from upscale_cli.methods.dualsr.judgement import SIDE, Middle
from upscale_cli.methods.dualsr.kernels import prepared, reduction, widths


def bell(side: int, down: float, across: float) -> np.ndarray:
    places = np.arange(side) - side // 2
    kernel = np.outer(np.exp(-(places**2) / (2 * down**2)), np.exp(-(places**2) / (2 * across**2)))
    return kernel / kernel.sum()


class Upsampling(nn.Module):
    """Stands in for a network that was learned."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return upsample(x)


@pytest.mark.parametrize("side", [3, 5, 7, 9, 11, 13, 33])
def test_a_patch_lies_where_it_lay_after_there_and_back(side):
    """A ramp reduced by the kernel is the ramp itself at half the size, to a last bit."""
    kernel = torch.from_numpy(prepared(bell(side, 1.0, 1.0)))
    assert len(kernel) % 4 == 1
    assert kernel.sum().item() == pytest.approx(1)
    small = torch.arange(64, dtype=torch.float64).expand(1, 3, 64, 64)
    reduced = downsample(upsample(small), kernel)
    inside = shaved(small, reduced)[..., 2:-2, 2:-2]
    torch.testing.assert_close(reduced[..., 2:-2, 2:-2], inside, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_is_what_pillow_does(name: str):
    pixels = np.random.default_rng(0).integers(64, 192, (64, 64, 3), np.uint8)  # none that is cut between two passes
    halved = Image.fromarray(pixels).resize((32, 32), getattr(Image.Resampling, name.upper()))
    small = torch.from_numpy(np.asarray(halved, np.float64)).permute(2, 0, 1)[None]
    reduced = downsample(
        torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None], torch.from_numpy(reduction(name))
    )
    torch.testing.assert_close(reduced, shaved(small, reduced), atol=1.1, rtol=0)


def test_widths_are_the_deviations_along_its_axes():
    assert widths(bell(33, 3.0, 1.5)) == pytest.approx((3.0, 1.5), rel=0.01)
    turned = bell(33, 3.0, 1.5)
    turned = 0.5 * (turned + turned.T)
    larger, smaller = widths(turned)
    assert larger == pytest.approx(smaller)


def test_the_middle_of_a_large_picture_is_judged_and_the_truth_with_it():
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE + 90, SIDE + 31, 3), np.uint8)
    truth = pixels.repeat(2, axis=0).repeat(2, axis=1)
    middle = Middle(pixels, truth)
    assert middle.x.shape == (1, 3, SIDE, SIDE)

    class Doubling(Upsampling):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, scale_factor=2.0)

    figures = middle.figures(Doubling())
    assert figures["psnr_y"] == float("inf")
    assert figures["ssim_y"] == pytest.approx(1)
    assert middle.figures(Upsampling())["psnr_y"] < 40
    assert Middle(pixels).figures(Upsampling()) == {}


def test_consistency_is_high_where_the_kernel_undoes_the_network():
    rows = np.linspace(0, 255, 80)
    pixels = np.repeat(np.repeat(np.rint(rows)[:, None, None], 80, axis=1), 3, axis=2).astype(np.uint8)
    judged = Middle(pixels).judged(Upsampling(), prepared(bell(5, 0.6, 0.6)))
    assert judged.consistency > 45
    dark = Middle(pixels).judged(Upsampling(), 0.5 * prepared(bell(5, 0.6, 0.6)))
    assert dark.consistency < 15


def test_a_picture_that_is_too_small_or_flat_for_niqe_has_none():
    for pixels in (np.full((400, 400, 3), 7, np.uint8), np.zeros((70, 70, 3), np.uint8)):
        judged = Middle(pixels).judged(Upsampling(), prepared(bell(5, 1, 1)))
        assert judged.niqe is None
        assert judged.bicubic_niqe is None
