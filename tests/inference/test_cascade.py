"""A network after itself: the picture of its passes one after another, in tiles too."""

import pytest
import torch
from torch import Tensor

from upscale_cli.inference.cascade import Cascade
from upscale_cli.inference.device import CPU
from upscale_cli.inference.network import Network
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods import load_method
from upscale_cli.methods.dualsr.config import GeneratorSettings
from upscale_cli.methods.dualsr.generator import Generator

pytestmark = pytest.mark.usefixtures("one_thread")


def _generator(passes: int = 1) -> Generator:
    torch.manual_seed(0)
    generator = Generator(GeneratorSettings(features=16, passes=passes))
    generator.initialise()
    return generator


def _cascade(passes: int) -> Network:
    network = load_method("dualsr").build(_generator().state_dict(), {"features": 16, "passes": passes}, CPU)
    assert isinstance(network, Cascade) is (passes > 1)
    return network


def _enlarged(network: Network, picture: Tensor, plan: Plan) -> Tensor:
    out = torch.full((1, 3, *(network.scale * side for side in picture.shape[2:])), torch.nan)

    def sink(box: Box, part: Tensor) -> None:
        out[:, :, box.top : box.bottom, box.left : box.right] = part

    upscale(network, picture, sink, plan)
    return out


@pytest.mark.parametrize("passes", [2, 3])
@pytest.mark.parametrize("tile", [0, 16, 19])
def test_it_is_the_network_on_what_the_network_has_made(passes: int, tile: int):
    picture, once = torch.rand(1, 3, 37, 23), _cascade(1)
    expected = picture
    for _ in range(passes):
        expected = _enlarged(once, expected, Plan(tile=0))
    cascade = _cascade(passes)
    assert cascade.scale == 2**passes
    torch.testing.assert_close(_enlarged(cascade, picture, Plan(tile=tile)), expected, rtol=0, atol=1e-3 / 255)


@torch.no_grad()
def test_what_is_trained_goes_through_as_many_passes():
    x = torch.rand(2, 3, 12, 10)
    once = _generator()
    expected = once(once(x).clamp(0, 1))
    torch.testing.assert_close(_generator(2)(x), expected)


def test_a_tile_reads_what_every_pass_eats():
    halos = [_cascade(passes).halo for passes in (1, 2, 3)]
    assert halos == [5, 8, 9]


def test_the_last_pass_takes_the_memory():
    assert _cascade(3).tile_bytes(10, 20) == _cascade(1).tile_bytes(40, 80)
