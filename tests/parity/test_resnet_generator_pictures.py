"""CycleGAN's generator against numbers from its authors' own code.

resnet_generator.npz: made-up weights under the official names; input (1, h, w, 3) uint8 and output (1, 3, H, W) of the
input in [-1, 1], in evaluation mode.  input_odd's sides are no multiples of four, and output_odd's are the next ones.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import load_golden
from torch import Tensor

from upscale_cli.networks.resnet_generator import ResnetGenerator

GOLDEN = np.load(Path(__file__).with_name("resnet_generator.npz"))
TOLERANCE = {"atol": 2e-5, "rtol": 0}

pytestmark = pytest.mark.usefixtures("one_thread")


def generator(name: str, network: ResnetGenerator) -> ResnetGenerator:
    load_golden(network, GOLDEN, name)
    return network.eval()


def picture(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name]).permute(0, 3, 1, 2) / 127.5 - 1


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


@torch.no_grad()
@pytest.mark.parametrize("name, network", [
    ("6 blocks", ResnetGenerator(2, 6)),
    ("16 features", ResnetGenerator(16, 6)),
    ("batch norm", ResnetGenerator(4, 2, "batch")),
])  # fmt: skip
def test_pictures(name: str, network: ResnetGenerator):
    output = generator(name, network)(picture(f"{name}.input"))
    torch.testing.assert_close(output, golden(f"{name}.output"), **TOLERANCE)


@torch.no_grad()
def test_odd_sides_but_for_what_is_cut_off():
    network, x = generator("6 blocks", ResnetGenerator(2, 6)), picture("6 blocks.input_odd")
    expected = golden("6 blocks.output_odd")
    torch.testing.assert_close(network.model(x), expected, **TOLERANCE)
    assert expected.shape[2:] == (36, 40)
    assert torch.equal(network(x), network.model(x)[:, :, :33, :38])


@torch.no_grad()
def test_batch_statistics_in_training():
    network = generator("batch norm", ResnetGenerator(4, 2, "batch")).train()
    output = network(picture("batch norm.input"))
    torch.testing.assert_close(output, golden("batch norm.output_train_mode"), **TOLERANCE)
