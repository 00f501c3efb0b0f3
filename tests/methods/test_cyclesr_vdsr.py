"""The modified VDSR: the paper's layers, how it begins, and that what is run is what was trained."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.methods.cyclesr.generator import upsample
from upscale_cli.methods.cyclesr.vdsr import VDSR

pytestmark = pytest.mark.usefixtures("one_thread")


def network(**settings: object) -> VDSR:
    """With statistics of its own in every BN, as training leaves them."""
    torch.manual_seed(0)
    made = VDSR(GeneratorSettings.model_validate({"features": 8, "blocks": 4} | settings))
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return made


def test_the_papers_layers():
    """20 BN-ReLU-Conv blocks, then a pixel shuffle."""
    with torch.device("meta"):
        state = VDSR(GeneratorSettings()).state_dict()
    convolutions = {name: tuple(tensor.shape) for name, tensor in state.items() if "conv" in name}
    assert list(convolutions.values()) == [(64, 3, 3, 3), *[(64, 64, 3, 3)] * 18, (48, 64, 3, 3)]
    assert [tuple(state[f"body.{i}.norm.weight"].shape) for i in (0, 1, 19)] == [(3,), (64,), (64,)]
    assert sum(math.prod(tensor.shape) for name, tensor in state.items() if "running" not in name) == 695_386


@torch.no_grad()
def test_it_is_what_its_modules_give_in_a_row():
    made, x = network().eval(), torch.rand(2, 3, 6, 7)
    features = x
    for block in made.body:
        features = block.conv(F.relu(block.norm(features)))
    expected = F.interpolate(x, scale_factor=4, mode="bilinear") + F.pixel_shuffle(features, 4)
    torch.testing.assert_close(made(x), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_folded_it_is_the_network_in_evaluation_mode(padding, blocks, scale):
    made, x = network(padding=padding, blocks=blocks, scale=scale).eval(), torch.rand(1, 3, 9, 12)
    folded = upsample(x, scale) + made.kernels().residual(x)
    torch.testing.assert_close(folded, made(x), atol=1e-5, rtol=1e-5)


def test_training_takes_the_batchs_statistics_and_remembers_them():
    made, x = network(), torch.rand(4, 3, 9, 12)
    before = made.state_dict()["body.2.norm.running_mean"].clone()
    assert (made.train()(x) - made.eval()(x)).abs().max() > 0.01
    assert not torch.equal(made.state_dict()["body.2.norm.running_mean"], before)


def test_it_begins_near_the_bilinear_picture_and_sees_all_levels():
    torch.manual_seed(0)
    made, x = VDSR(GeneratorSettings(features=16)), torch.rand(4, 3, 16, 16)
    assert (made(x) - upsample(x, 4)).abs().mean() < 0.1
    first = made.body[0].norm(x)
    assert (first > 0).float().mean() > 0.99


def test_every_tensor_learns():
    made = network()
    made(torch.rand(2, 3, 8, 8)).square().mean().backward()
    assert [name for name, tensor in made.named_parameters() if tensor.grad is None or not tensor.grad.any()] == []


@pytest.mark.parametrize("training", [True, False])
def test_reduced_precision_is_near(training):
    made, x = network().train(training), torch.rand(2, 3, 12, 12)
    exact, reduced = made(x), made(x, torch.bfloat16)
    assert reduced.dtype == torch.float32
    assert 0 < (exact - reduced).abs().mean() < 0.01
    kernels = made.kernels(torch.bfloat16)
    assert [conv.weight.dtype for conv in kernels.convolutions] == [torch.float32, *[torch.bfloat16] * 3]


@torch.no_grad()
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_between_repeated_pixels_a_flat_colour_is_alike_everywhere(padding):
    made, x = network(padding=padding).eval(), torch.full((1, 3, 10, 10), 0.7)
    output = made(x)
    unlike = (output - output[:, :, 20:24, 20:24].repeat(1, 1, 10, 10)).abs().max()
    assert (unlike < 1e-5) == (padding == "replicate")
