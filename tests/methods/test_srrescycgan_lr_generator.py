"""G_LR: its layers as section 3.3 counts them, its size, and that it learns to shrink."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from upscale_cli.methods.srrescycgan.losses import cycle_loss
from upscale_cli.methods.srrescycgan.lr_generator import LRGenerator, ResidualBlock


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> Iterator[None]:
    """These networks are tiny: more than one thread only costs time."""
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_its_layers():
    network = LRGenerator()
    head, blocks, tail = (
        [m for m in part.modules() if isinstance(m, nn.Conv2d)] for part in (network.head, network.blocks, network.tail)
    )
    assert [layer.stride for layer in head] == [(1, 1), (2, 2), (2, 2)]
    assert len(network.blocks) == 6
    assert all(isinstance(block, ResidualBlock) for block in network.blocks)
    assert len(blocks) == 12
    assert [layer.out_channels for layer in tail] == [64, 64, 3]
    assert all(layer.padding_mode == "reflect" for layer in (*head, *blocks, *tail))


@pytest.mark.parametrize("size", [(16, 16), (20, 36)])
def test_a_quarter_of_the_size(size: tuple[int, int]):
    y_prime = LRGenerator(features=4, blocks=1)(torch.rand(2, 3, *size) * 255)
    assert y_prime.shape == (2, 3, size[0] // 4, size[1] // 4)


def test_a_block_adds_to_its_input():
    block = ResidualBlock(4)
    with torch.no_grad():
        block.conv2.weight.zero_()
        block.conv2.bias.fill_(2.0)
    x = torch.rand(1, 4, 5, 6)
    assert torch.equal(block(x), x + 2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_parameter_gets_a_finite_gradient(precision: str):
    network = LRGenerator(features=4, blocks=2)
    x = (torch.rand(1, 3, 32, 32) * 255).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        y_prime = network(x)
        assert y_prime.dtype == torch.float32
        cycle_loss(y_prime, F.avg_pool2d(x.detach(), 4)).backward()
    for name, gradient in [("input", x.grad), *((name, p.grad) for name, p in network.named_parameters())]:
        assert gradient is not None, name
        assert bool(torch.isfinite(gradient).all()), name
        assert bool((gradient != 0).any()), name


def test_a_few_steps_teach_it_to_shrink():
    network = LRGenerator(features=8, blocks=1)
    x = F.interpolate(torch.rand(2, 3, 8, 8) * 255, scale_factor=4, mode="bilinear")
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    course = []
    for _ in range(30):
        loss = cycle_loss(network(x), F.avg_pool2d(x, 4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.append(loss.item())
    assert course[0] > 80  # it starts at black: no shortcut hands the input through
    assert course[-1] < 0.5 * course[0]
