"""A tile's convolution is a part of the whole picture's."""

import pytest
import torch
from torch import nn

from upscale_cli.inference import convolution
from upscale_cli.inference.convolution import Convolution, convolution_of, convolve, placed
from upscale_cli.inference.tiling import Edges, plan_tiles

CPU = torch.device("cpu")


@pytest.fixture(params=[False, True], ids=["small", "large"])
def large(request, monkeypatch):
    """Whether any map counts as a large one."""
    if request.param:
        monkeypatch.setattr(convolution, "_LARGE", 4)


@torch.no_grad()
@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect"])
def test_it_is_the_layers(padding, large):
    layer = nn.Conv2d(3, 4, 3, padding=1, padding_mode=padding)
    x = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(convolve(x, convolution_of(layer)), layer(x))


@torch.no_grad()
@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect"])
def test_every_tile_is_a_part_of_the_picture(padding, large):
    conv = Convolution(torch.randn(2, 3, 5, 5), torch.randn(2), padding)
    x = torch.rand(1, 3, 13, 17)
    whole = convolve(x, conv)
    for (top, bottom, left, right), outer, frame in plan_tiles(13, 17, 4, 2):
        part = convolve(x[:, :, outer.top : outer.bottom, outer.left : outer.right], conv, frame.edges)
        before, _, above, _ = (side * edge for side, edge in zip(frame[:4], frame.edges, strict=True))
        part = part[:, :, above : above + bottom - top, before : before + right - left]
        torch.testing.assert_close(part, whole[:, :, top:bottom, left:right])


@torch.no_grad()
def test_a_single_pixel_needs_no_border(large):
    layer = nn.Conv2d(3, 4, 1, padding_mode="reflect")
    x = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(convolve(x, convolution_of(layer)), layer(x))


def test_an_inner_side_is_smaller_by_the_margin():
    conv = Convolution(torch.zeros(1, 1, 5, 5), torch.zeros(1))
    inside = Edges(left=False, right=True, top=False, bottom=False)
    assert convolve(torch.zeros(1, 1, 10, 10), conv, inside).shape[2:] == (6, 8)


def test_tensors_of_a_layer_learn_and_placed_ones_do_not():
    conv = convolution_of(nn.Conv2d(3, 4, 3, padding_mode="replicate"), torch.bfloat16)
    assert conv.weight.requires_grad
    assert (conv.weight.dtype, conv.bias.dtype, conv.padding) == (torch.bfloat16, torch.bfloat16, "replicate")
    (there, plain), number = placed(((conv, (conv.bias,)), 3), CPU)
    assert isinstance(there, Convolution)
    assert not there.weight.requires_grad
    assert there.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain[0], conv.bias)
    assert number == 3
