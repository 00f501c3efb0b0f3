"""The official layout of RCAN's checkpoints, and the options that a catalogue may give."""

import math

import pytest
import torch

from upscale_cli.errors import UsageError
from upscale_cli.inference.device import CPU, Placement
from upscale_cli.inference.staged import run_whole
from upscale_cli.methods.rwsr.checkpoint import build, expected_tensors, recognised
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import Generator

SMALL = {"groups": 1, "blocks": 2, "features": 8, "reduction": 2}


def test_options_shape_the_network():
    tensors = expected_tensors(SMALL | {"scale": 3})
    assert tensors["sub_mean.weight"] == (3, 3, 1, 1)
    assert tensors["body.0.body.1.body.3.conv_du.0.weight"] == (4, 8, 1, 1)
    assert tensors["tail.0.0.weight"] == (72, 8, 3, 3)
    assert "tail.0.2.weight" not in tensors
    assert sum(math.prod(shape) for shape in tensors.values()) == 9_379


@pytest.mark.parametrize(("options", "named"), [
    ({"group": 5}, "group"),
    ({"scale": 5}, "scale"),
    ({"features": 8}, "reduction"),
    ({"blocks": "many"}, "blocks"),
])  # fmt: skip
def test_wrong_options_are_named(options, named):
    with pytest.raises(UsageError, match=named):
        expected_tensors(options)


@torch.inference_mode()
def test_half_precision_files_are_computed_in_float32(one_thread):
    state = {name: value.half() for name, value in Generator(GeneratorSettings(**SMALL)).state_dict().items()}
    picture = torch.rand(1, 3, 5, 6)
    same = build({name: value.float() for name, value in state.items()}, SMALL, CPU)
    assert torch.equal(run_whole(build(state, SMALL, CPU), picture), run_whole(same, picture))


def test_without_a_state_the_network_is_there_to_plan_with():
    network = build(None, {}, Placement(torch.device("cpu"), torch.bfloat16))
    assert network.tile_bytes(64, 64) > 0


@pytest.mark.parametrize("options", [
    {"scale": 4, "groups": 2, "blocks": 3, "features": 12, "reduction": 3},
    {"scale": 3, "groups": 1, "blocks": 1, "features": 8, "reduction": 8},
    {"scale": 8, "groups": 11, "blocks": 1, "features": 4, "reduction": 2},
])  # fmt: skip
def test_a_file_tells_its_sizes(options):
    assert recognised(expected_tensors(options)) == options


def test_another_methods_file_is_not_recognised():
    tensors = expected_tensors(SMALL)
    assert recognised({name: shape for name, shape in tensors.items() if "conv_du" not in name}) is None
    assert recognised(tensors | {"tail.2.weight": (3, 3)}) is None
    assert recognised(tensors | {"head.0.weight": (9, 3, 3, 3)}) is None
    assert recognised({"model.conv1.bias": (64,)}) is None
