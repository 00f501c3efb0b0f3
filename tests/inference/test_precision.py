"""A reduced number format is only taken where it is near enough to float32, on this picture."""

from collections.abc import Callable

import pytest
import skimage.data
import torch
from fake_networks import FakeNetwork
from torch import Tensor

from upscale_cli.inference.device import CPU, Placement
from upscale_cli.inference.precision import PROBE, PSNR, WORTHWHILE, reduced_is_faithful
from upscale_cli.inference.tiling import WHOLE, Frame
from upscale_cli.methods.srrescycgan import checkpoint
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import Generator

PICTURE = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None].float() / 255
BF16 = Placement(torch.device("cpu"), torch.bfloat16)


class Off(FakeNetwork):
    """A network whose result is off by what `error` says of a part of the picture."""

    def __init__(self, error: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._error = error

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        exact = super().partial(x, frame)
        return exact + self._error(exact)


def _noise(levels: float) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * levels / 255


@pytest.mark.parametrize(("error", "taken"), [
    (lambda x: x * 0, True),
    (_noise(0.25), True),  # 60 dB, 0.2 levels on average
    (_noise(1.0), False),  # 48 dB, 0.8 levels on average
    (lambda x: x * 0 + 0.2 / 255, True),  # 62 dB
    (lambda x: x * 0 + 0.3 / 255, False),  # 59 dB, but every level 0.3 too high
    (lambda x: torch.where(torch.rand_like(x) < 1e-3, 0.3, 0.0), False),  # 40 dB: rare, but large
    (lambda x: x * torch.nan, False),
])  # fmt: skip
def test_both_measures_decide(error, taken):
    assert reduced_is_faithful(FakeNetwork(), Off(error), PICTURE) is taken


def test_the_most_detailed_part_is_probed():
    """A flat picture but for one corner, where alone the reduced network is wrong."""
    picture = torch.full((1, 3, 200, 200), 0.5)
    picture[:, :, 150:170, 160:180] = torch.rand(1, 3, 20, 20)
    wrong_on_detail = Off(lambda x: x.gt(0.55) * 0.1)
    assert not reduced_is_faithful(FakeNetwork(), wrong_on_detail, picture)
    assert reduced_is_faithful(FakeNetwork(), wrong_on_detail, torch.full((1, 3, 200, 200), 0.5))


@pytest.mark.parametrize(("height", "width"), [(20, 2000), (2000, 20), (1, 20_000), (47, 400)])
def test_narrow_pictures_are_probed_over_their_whole_width(height, width):
    network = FakeNetwork()
    assert reduced_is_faithful(network, network, torch.rand(1, 3, height, width))
    assert (1, 3, min(height, PROBE), min(width, PROBE)) in network.seen


def test_a_small_picture_is_quicker_done_than_probed():
    network = FakeNetwork()
    side = int(WORTHWHILE**0.5) - 1
    assert not reduced_is_faithful(network, network, torch.rand(1, 3, side, side))
    assert network.seen == []


def _made_up(gain: float, blocks: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(4)
    state = Generator(GeneratorSettings(features=16, blocks=blocks)).state_dict()
    state["model.conv_out.weight_g"] *= gain
    return state


def test_bf16_is_near_float32_on_a_photograph():
    options = {"features": 16}
    exact, reduced = (checkpoint.build(_made_up(2.0), options, placement) for placement in (CPU, BF16))
    assert reduced_is_faithful(exact, reduced, PICTURE)
    part, frame = PICTURE[:, :, 100:150, 120:180], Frame(0, 0, 0, 0, WHOLE)
    first, second = (n.finish(part, n.partial(part, frame), frame, torch.ones(1)) for n in (exact, reduced))
    assert 0 < float((first - second).double().square().mean()) <= 10 ** (-PSNR / 10)


def test_bf16_is_refused_for_a_network_that_amplifies_rounding():
    options = {"features": 16}
    exact, reduced = (checkpoint.build(_made_up(200.0), options, placement) for placement in (CPU, BF16))
    assert not reduced_is_faithful(exact, reduced, PICTURE)
