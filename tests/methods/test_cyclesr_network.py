"""CycleSR's networks as they are run: halos, memory, number formats, and one network that is trained and run."""

import pytest
import torch

from upscale_cli.inference.device import CPU, Placement
from upscale_cli.inference.precision import reduced_is_faithful
from upscale_cli.inference.tiling import WHOLE, Frame, plan_tiles
from upscale_cli.methods.cyclesr.checkpoint import make_generator
from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.methods.cyclesr.network import LocalNetwork

BF16 = Placement(torch.device("cpu"), torch.bfloat16)

pytestmark = pytest.mark.usefixtures("one_thread")


def generator(network: str, **settings: object):
    torch.manual_seed(0)
    options = {"network": network, "features": 8, "blocks": 2} | settings
    made = make_generator(GeneratorSettings.model_validate(options)).eval()
    with torch.no_grad():
        for name, tensor in made.named_parameters():
            tensor.mul_(6 if network == "srresnet" else 2 if "conv" in name else 1)
    return made


@torch.inference_mode()
@pytest.mark.parametrize("network", ["vdsr", "srresnet"])
def test_one_network_is_trained_and_run(network):
    made, x = generator(network), torch.rand(1, 3, 10, 14)
    run, frame = LocalNetwork(made, CPU), plan_tiles(10, 14, 0, 0)[0].frame
    partial = run.partial(x, frame)
    torch.testing.assert_close(partial, made(x), atol=1e-5, rtol=0)
    output = run.finish(x, partial, frame, run.settle(run.measure(x), run.contribution(partial), 1))
    torch.testing.assert_close(output, made(x).clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("network, blocks, halo", [
    ("vdsr", 1, 1), ("vdsr", 20, 20), ("srresnet", 1, 5), ("srresnet", 16, 35),
])  # fmt: skip
def test_the_halo_is_the_receptive_fields(network, blocks, halo):
    assert LocalNetwork(generator(network, blocks=blocks), CPU).halo == halo


@torch.inference_mode()
@pytest.mark.parametrize("network", ["vdsr", "srresnet"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nothing_is_read_beyond_the_halo(network, scale):
    """A tile's result does not change when the picture changes just outside its halo, and does when inside."""
    run = LocalNetwork(generator(network, scale=scale), CPU)
    halo, side = run.halo, 3
    inside = Frame(halo, halo, halo, halo, WHOLE._replace(left=False, right=False, top=False, bottom=False))
    around = Frame(halo + 1, halo + 1, halo + 1, halo + 1, WHOLE)
    picture = torch.rand(1, 3, side + 2 * halo + 2, side + 2 * halo + 2)
    tile = run.partial(picture[:, :, 1:-1, 1:-1], inside)
    assert tile.shape == (1, 3, scale * side, scale * side)
    picture[:, :, 0] = picture[:, :, :, -1] = 0.5
    torch.testing.assert_close(run.partial(picture, around), tile, atol=1e-5, rtol=0)
    picture[:, :, 1] += 0.5  # the outermost row of the halo
    assert (run.partial(picture, around) - tile).abs().max() > 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("network", ["vdsr", "srresnet"])
def test_half_precision_keeps_the_levels(network):
    """The residual alone is rounded, in a trained network a few levels: the picture's own pass in float32."""
    torch.manual_seed(0)
    made = make_generator(GeneratorSettings(network=network, features=16, blocks=4))
    last = made.body[-1].conv if network == "vdsr" else made.conv_last
    last.weight.mul_(0.1)
    picture = torch.rand(1, 3, 140, 140)
    exact, reduced = LocalNetwork(made, CPU), LocalNetwork(made, BF16)
    frame = plan_tiles(140, 140, 0, 0)[0].frame
    assert reduced.partial(picture, frame).dtype == torch.float32
    assert not torch.equal(reduced.partial(picture, frame), exact.partial(picture, frame))
    assert reduced_is_faithful(exact, reduced, picture)


def test_memory_follows_size_and_format():
    exact, reduced = (LocalNetwork(generator("srresnet", features=64), place) for place in (CPU, BF16))
    assert exact.tile_bytes(64, 128) == exact.tile_bytes(128, 64) == 2 * exact.tile_bytes(64, 64)
    assert exact.tile_bytes(64, 64) > 3 * 64 * 4 * 64 * 64
    assert reduced.tile_bytes(64, 64) < exact.tile_bytes(64, 64)
    assert LocalNetwork(generator("vdsr", features=64), CPU).tile_bytes(64, 64) < exact.tile_bytes(64, 64)
