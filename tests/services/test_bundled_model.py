"""What `--model auto` chooses from: what it does to photographs and flat colours.  Better models must pass here too."""

import itertools

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import compress, downsample
from upscale_cli.imaging.quality import psnr, ssim
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.inference.device import CPU
from upscale_cli.inference.network import Network
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale
from upscale_cli.services.loading import find_model, load_model
from upscale_cli.weights.catalogue import load_catalogue

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module", params=[entry.name for entry in load_catalogue().automatic])
def network(request: pytest.FixtureRequest) -> Network:
    return load_model(find_model(request.param), offline=True).network(CPU, projection=True)


def enlarged(network: Network, picture: torch.Tensor) -> torch.Tensor:
    out = torch.empty(1, 3, network.scale * picture.shape[2], network.scale * picture.shape[3])

    def sink(box: Box, part: torch.Tensor) -> None:
        out[:, :, box.top : box.bottom, box.left : box.right] = part

    upscale(network, picture, sink, Plan(tile=0))
    return out


@pytest.mark.parametrize("kind", ["clean", "noise", "jpeg"])
def test_it_is_nearer_to_the_original_than_bicubic(network: Network, kind: str):
    hr: Pixels = np.ascontiguousarray(skimage.data.astronaut()[:256, 120:376])
    lr = downsample(hr, 4, "bicubic")
    if kind == "noise":
        lr = add_sensor_noise(lr, 8.0, np.random.default_rng(8))
    if kind == "jpeg":
        lr = compress(lr, 30)
    bicubic: Pixels = np.asarray(cv2.resize(lr, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC), np.uint8)
    ours: Pixels = np.asarray(from_tensor(enlarged(network, to_tensor(lr)), np.uint8, "rgb"), np.uint8)
    assert psnr(ours, hr, border=4) > psnr(bicubic, hr, border=4)
    assert ssim(ours, hr, border=4) > ssim(bicubic, hr, border=4)


def test_flat_colours_stay_what_they_are_to_the_border(network: Network):
    """Within one of 255 levels, also between the colours that were trained on."""
    levels = np.array([0, 3, 26, 77, 128, 180, 229, 252, 255])
    colours = torch.tensor(list(itertools.product(levels, repeat=3)))[::7].float() / 255
    worst = 0.0
    for colour in colours:
        flat = colour[None, :, None, None].expand(1, 3, 3, 4).contiguous()
        worst = max(worst, (enlarged(network, flat) - colour[None, :, None, None]).abs().max().item() * 255)
    assert worst <= 1.0
