"""SRResNet: the published size, and that parts of a picture are enlarged as all of it is. Its pictures are golden."""

import pytest
import torch
import torch.nn.functional as F

from upscale_cli.inference.tiling import WHOLE, Edges
from upscale_cli.methods.cyclesr import srresnet
from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.methods.cyclesr.generator import upsample
from upscale_cli.methods.cyclesr.srresnet import SRResNet

pytestmark = pytest.mark.usefixtures("one_thread")


def network(**settings: object) -> SRResNet:
    """With a residual as large as the picture, or rounding alone would be seen."""
    torch.manual_seed(0)
    made = SRResNet(
        GeneratorSettings.model_validate({"network": "srresnet", "features": 16, "blocks": 1, "scale": 4} | settings)
    )
    with torch.no_grad():
        for tensor in made.parameters():
            tensor.mul_(8)
    return made


def test_the_published_size():
    """1,517,571 numbers, as BasicSR prints of MSRResNet."""
    with torch.device("meta"):
        made = SRResNet(GeneratorSettings(network="srresnet"))
    assert sum(tensor.numel() for tensor in made.parameters()) == 1_517_571


def test_it_begins_at_the_bilinear_picture():
    made, x = SRResNet(GeneratorSettings(network="srresnet", features=8)), torch.rand(1, 3, 8, 8)
    assert (made(x) - upsample(x, 4)).abs().max() < 1e-3


@torch.no_grad()
@pytest.mark.parametrize("edges", [WHOLE, Edges(False, True, True, False), Edges(False, False, False, False)])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_part_by_part_it_is_the_same(edges, padding, scale, monkeypatch):
    made = network(padding=padding, scale=scale)
    x, halo = torch.rand(1, 3, 33, 40), made.halo
    monkeypatch.setattr(srresnet, "PART", 100)
    whole = made.kernels().residual(x, edges)
    rows, columns = 33 - halo * (2 - edges.top - edges.bottom), 40 - halo * (2 - edges.left - edges.right)
    assert whole.shape[2:] == (scale * rows, scale * columns)
    monkeypatch.setattr(srresnet, "PART", 9)
    torch.testing.assert_close(made.kernels().residual(x, edges), whole, atol=1e-5, rtol=0)
    assert whole.std() > 0.1


def test_every_tensor_learns_part_by_part_too(monkeypatch):
    monkeypatch.setattr(srresnet, "PART", 5)
    made = network()
    made(torch.rand(2, 3, 8, 9)).square().mean().backward()
    assert [name for name, tensor in made.named_parameters() if tensor.grad is None or not tensor.grad.any()] == []


@torch.no_grad()
def test_reduced_precision_is_near():
    made, x = network(), torch.rand(1, 3, 12, 12)
    exact, reduced = made(x), made(x, torch.bfloat16)
    assert reduced.dtype == torch.float32
    assert 0 < (exact - reduced).abs().mean() < 0.01
    kernels = made.kernels(torch.bfloat16)
    assert (kernels.first.weight.dtype, kernels.last.weight.dtype) == (torch.float32, torch.bfloat16)


@torch.no_grad()
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_it_is_what_its_modules_give_in_a_row(padding):
    made, x = network(padding=padding), torch.rand(2, 3, 9, 7)
    features = F.leaky_relu(made.conv_first(x), 0.1)
    for block in made.body:
        features = features + block.conv2(F.relu(block.conv1(features)))
    for conv in (made.upconv1, made.upconv2):
        features = F.leaky_relu(F.pixel_shuffle(conv(features), 2), 0.1)
    residual = made.conv_last(F.leaky_relu(made.conv_hr(features), 0.1))
    torch.testing.assert_close(made(x), F.interpolate(x, scale_factor=4, mode="bilinear") + residual, atol=1e-4, rtol=0)
