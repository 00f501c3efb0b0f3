"""The official layout of checkpoints, and the options that a catalogue may give."""

import math

import pytest
import torch

from upscale_cli.errors import UsageError
from upscale_cli.inference.device import CPU, Placement
from upscale_cli.inference.tiling import WHOLE, Frame
from upscale_cli.methods.srrescycgan.checkpoint import build, expected_tensors, recognised
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import Generator

FRAME = Frame(0, 0, 0, 0, WHOLE)


def test_official_layout():
    """380,356 parameters, as the paper's 380 K, under the authors' names."""
    tensors = expected_tensors({})
    assert len(tensors) == 47
    assert sum(math.prod(shape) for shape in tensors.values()) == 380_356
    assert tensors["alpha"] == (1,)
    assert tensors["model.conv1.weight_v"] == (64, 3, 5, 5)
    assert tensors["model.layer1.4.conv2.weight_g"] == (64, 1, 1, 1)
    assert tensors["model.layer1.0.relu1.weight"] == (64,)
    assert tensors["model.conv_out.weight_g"] == (64, 1, 1, 1)  # a transposed convolution: one for each input channel
    assert tensors["model.conv_out.bias"] == (3,)


@pytest.mark.parametrize("blocks", [1, 7])
def test_options_shape_the_network(blocks):
    tensors = expected_tensors({"features": 12, "blocks": blocks})
    assert tensors["model.conv1.weight_v"] == (12, 3, 5, 5)
    assert len([name for name in tensors if name.endswith("relu1.weight")]) == blocks


@pytest.mark.parametrize(("options", "named"), [
    ({"block": 5}, "block"),
    ({"features": 0}, "features"),
    ({"features": "many"}, "features"),
    ({"noise_estimate": "clever"}, "noise_estimate"),
])  # fmt: skip
def test_wrong_options_are_named(options, named):
    with pytest.raises(UsageError, match=named):
        expected_tensors(options)


def test_half_precision_files_are_computed_in_float32():
    options = {"features": 4, "blocks": 1}
    state = {name: value.half() for name, value in Generator(GeneratorSettings(**options)).state_dict().items()}
    picture = torch.rand(1, 3, 5, 6)
    network = build(state, options, CPU)
    same = build({name: value.float() for name, value in state.items()}, options, CPU)
    assert network.partial(picture, FRAME).dtype == torch.float32
    assert torch.equal(network.partial(picture, FRAME), same.partial(picture, FRAME))


def test_without_a_state_the_network_is_there_to_plan_with():
    network = build(None, {}, Placement(torch.device("cpu"), torch.bfloat16))
    assert (network.scale, network.halo) == (4, 4)


def test_projection_can_be_left_out():
    options = {"features": 4, "blocks": 1}
    state = Generator(GeneratorSettings(**options)).state_dict()
    sigma, energy = torch.tensor([1e-9]), torch.tensor([1e6]).double()
    with_it, without = build(state, options, CPU), build(state, options, CPU, projection=False)
    assert with_it.settle(sigma, energy, 100).item() < 0.01
    assert without.settle(sigma, energy, 100).item() == 1


def test_a_file_tells_its_sizes():
    assert recognised(expected_tensors({})) == {"features": 64, "blocks": 5, "context_blocks": 0}
    for options in ({"features": 8, "blocks": 2, "context_blocks": context} for context in (0, 1)):
        assert recognised(expected_tensors(options)) == options
    assert recognised({"model.conv1.bias": (64,)}) is None
    assert recognised({"head.0.weight": (64, 3, 3, 3)}) is None
