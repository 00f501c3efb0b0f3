"""RCAN behind its door: [0, 1] outside, one network that is trained and run."""

import pytest
import torch

from upscale_cli.inference.device import CPU, Placement
from upscale_cli.inference.staged import run_whole
from upscale_cli.inference.tiling import WHOLE
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import Generator
from upscale_cli.methods.rwsr.network import AttentionNetwork

pytestmark = pytest.mark.usefixtures("one_thread")


def generator(**options: int) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorSettings(**{"groups": 2, "blocks": 2, "features": 16, "reduction": 4} | options))


@torch.inference_mode()
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_one_network_is_trained_and_run(scale):
    trained = generator(scale=scale)
    picture = torch.rand(1, 3, 12, 15)
    output = run_whole(AttentionNetwork(trained, CPU), picture)
    torch.testing.assert_close(output * 255, trained(picture * 255).clamp(0, 255), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_it_is_clipped():
    trained = generator()
    trained.tail[1].weight *= 50
    output = run_whole(AttentionNetwork(trained, CPU), torch.rand(1, 3, 12, 15))
    assert output.min() == 0
    assert output.max() == 1


@torch.inference_mode()
def test_half_precision_keeps_the_levels():
    """The body alone is rounded: the picture's own levels pass in float32."""
    reduced = AttentionNetwork(generator(), Placement(torch.device("cpu"), torch.bfloat16))
    picture = torch.rand(1, 3, 20, 20)
    output = run_whole(reduced, picture)
    difference = (output - run_whole(AttentionNetwork(generator(), CPU), picture)).abs() * 255
    assert output.dtype == torch.float32
    assert 0 < difference.mean() < 0.1


def test_memory_follows_size_and_format():
    exact, reduced = (
        AttentionNetwork(generator(features=64), Placement(torch.device("cpu"), dtype))
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert exact.feature_bytes(10, 20) == 4 * 64 * 4 * 10 * 20
    assert reduced.feature_bytes(10, 20) == exact.feature_bytes(10, 20) // 2
    assert exact.tile_bytes(256, 256) > 3 * 64 * 4 * 256 * 256 - 1
    assert exact.tile_bytes(64, 128) == exact.tile_bytes(128, 64)


@torch.inference_mode()
def test_pixels_of_a_tile_need_the_halo_it_names():
    network = AttentionNetwork(generator(), CPU)
    features = torch.randn(1, 16, 9, 10)
    assert network.pixels(features, WHOLE).shape == (1, 3, 36, 40)
    assert network.pixels(features, WHOLE._replace(left=False)).shape == (1, 3, 36, 40 - 4 * network.halo)
