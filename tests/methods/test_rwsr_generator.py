"""RCAN's parts: parameters under their official names, and steps that compute tiles as parts of the whole picture."""

import math

import pytest
import torch
from torch import Tensor

from upscale_cli.inference.convolution import convolve
from upscale_cli.inference.tiling import Tile, plan_tiles
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import HEAD_HALO, RESIDUAL_HALO, TAIL_HALO, Generator, head, residual

SETTINGS = GeneratorSettings(groups=2, blocks=2, features=16, reduction=4)
HEIGHT, WIDTH = 17, 22


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=["zeros", "replicate"])
def generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    return Generator(SETTINGS.model_copy(update={"padding": request.param}))


def outer(x: Tensor, tile: Tile) -> Tensor:
    top, bottom, left, right = tile.outer
    return x[:, :, top:bottom, left:right]


def assert_part_of(whole: Tensor, part: Tensor, tile: Tile) -> None:
    """`part` is what `tile` yields and, at the picture's borders, what it reads beyond that."""
    sides = zip(tile.frame[:4], tile.frame.edges, strict=True)
    left, right, top, bottom = (side * edge for side, edge in sides)
    part = part[:, :, top : part.shape[2] - bottom, left : part.shape[3] - right]
    top, bottom, left, right = tile.inner
    torch.testing.assert_close(part, whole[:, :, top:bottom, left:right], atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_it_is_what_its_modules_give_in_a_row(generator):
    """With a mean shift of its own, as published checkpoints have."""
    for shift in (generator.sub_mean, generator.add_mean):
        shift.weight.add_(torch.rand(3, 3, 1, 1) / 10)
        shift.bias.mul_(1.1)
    x = torch.rand(2, 3, 9, 12) * 255
    features = shallow = generator.head(generator.sub_mean(x))
    *groups, body_tail = generator.body
    for group in groups:
        start = features
        *blocks, tail = group.body
        for block in blocks:
            conv1, relu, conv2, channel_attention = block.body
            deep = conv2(relu(conv1(features)))
            features = features + deep * channel_attention.conv_du(deep.mean((2, 3), keepdim=True))
        features = start + tail(features)
    expected = generator.add_mean(generator.tail(shallow + body_tail(features)))
    torch.testing.assert_close(generator(x), expected, atol=1e-3, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [4, 9, 30])
def test_a_tile_of_every_step_is_a_part_of_the_picture(generator, size):
    kernels = generator.kernels()
    block, tail = kernels.groups[0].blocks[0], kernels.groups[0].tail
    x, features = torch.rand(1, 3, HEIGHT, WIDTH) * 255, torch.randn(1, 16, HEIGHT, WIDTH)
    for tile in plan_tiles(HEIGHT, WIDTH, size, HEAD_HALO):
        assert_part_of(head(x, kernels), head(outer(x, tile), kernels, tile.frame.edges), tile)
    for tile in plan_tiles(HEIGHT, WIDTH, size, RESIDUAL_HALO):
        part = residual(outer(features, tile), block, tile.frame.edges)
        assert_part_of(residual(features, block), part, tile)
    for tile in plan_tiles(HEIGHT, WIDTH, size, TAIL_HALO):
        part = convolve(outer(features, tile), tail, tile.frame.edges)
        assert_part_of(convolve(features, tail), part, tile)


@torch.no_grad()
def test_reduced_precision_is_near(generator):
    x = torch.rand(1, 3, 20, 20) * 255
    exact, reduced = generator(x), generator(x, torch.bfloat16)
    assert reduced.dtype == torch.float32
    assert 0 < (exact - reduced).abs().mean() < 0.5
    assert generator.kernels(torch.bfloat16).groups[0].blocks[0].attention.squeeze.weight.dtype == torch.float32


def test_every_tensor_but_the_mean_shift_learns(generator):
    generator(torch.rand(1, 3, 8, 8) * 255).square().mean().backward()
    still = {name for name, tensor in generator.named_parameters() if tensor.grad is None or not tensor.grad.any()}
    assert still == {"sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias"}


def test_the_published_size():
    """15,592,379 numbers in 1634 tensors, under the authors' names."""
    with torch.device("meta"):
        state = Generator().state_dict()
    assert len(state) == 1634
    assert sum(math.prod(tensor.shape) for tensor in state.values()) == 15_592_379
    assert state["body.9.body.19.body.3.conv_du.2.weight"].shape == (64, 4, 1, 1)
    assert state["body.9.body.20.weight"].shape == state["body.10.weight"].shape == (64, 64, 3, 3)
    assert state["tail.0.2.bias"].shape == (256,)


def test_attention_must_be_left_a_middle():
    with pytest.raises(ValueError, match=r"features = 8 over reduction = 16"):
        GeneratorSettings(features=8)
