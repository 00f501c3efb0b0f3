"""CycleGAN's generator: sizes, layers and what learns; its numbers are checked beside the other golden ones."""

import pytest
import torch

from upscale_cli.networks.resnet_generator import ResnetGenerator, smallest_translated

SMALLEST = smallest_translated()

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
@pytest.mark.parametrize("height, width", [(SMALLEST, SMALLEST), (30, 30), (31, 33), (6, 40)])
def test_a_picture_keeps_its_size_and_range(height, width):
    output = ResnetGenerator(2, 1)(torch.rand(1, 3, height, width) * 2 - 1)
    assert output.shape == (1, 3, height, width)
    assert output.abs().max() <= 1


def test_smaller_pictures_have_nothing_to_reflect():
    with pytest.raises((RuntimeError, ValueError)):
        ResnetGenerator(2, 1)(torch.rand(1, 3, SMALLEST - 1, SMALLEST - 1))


@torch.no_grad()
@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_other_numbers_of_halvings_have_other_smallest_pictures(halvings):
    side = smallest_translated(halvings)
    assert ResnetGenerator(2, 1, halvings=halvings)(torch.rand(1, 3, side, side)).shape[2:] == (side, side)
    with pytest.raises((RuntimeError, ValueError)):
        ResnetGenerator(2, 1, halvings=halvings)(torch.rand(1, 3, side - 1, side - 1))


def test_the_published_size():
    """11,378,179 numbers, as the authors' program prints of resnet_9blocks."""
    with torch.device("meta"):
        network = ResnetGenerator()
    assert sum(tensor.numel() for tensor in network.parameters()) == 11_378_179
    assert network.state_dict()["model.26.weight"].shape == (3, 64, 7, 7)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_all_of_it_learns_but_biases_that_a_norm_takes_away(norm):
    network = ResnetGenerator(2, 1, norm)
    (network(torch.rand(2, 3, 16, 16)) * torch.rand(2, 3, 16, 16)).sum().backward()
    still = {name for name, tensor in network.named_parameters() if tensor.grad.abs().max() < 0.01}
    normed = {f"model.{place}.bias" for place in ("1", "4", "7", "10.conv_block.1", "10.conv_block.5", "11", "14")}
    assert still == (normed if norm == "instance" else set())
