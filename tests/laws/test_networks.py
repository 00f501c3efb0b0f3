"""What every method's network must keep, whatever it computes."""

import pytest
import torch
from made_up import MADE_UP, photo
from torch import Tensor

from upscale_cli.inference import upscaler
from upscale_cli.inference.device import CPU
from upscale_cli.inference.network import Network
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods import ROOMS, load_method
from upscale_cli.weights.checkpoint import read_state_dict, require_tensors, write_safetensors

LEVELS = 1e-3
"""What tiles may differ by from the whole picture in float32, in levels of 255."""
TILED = [(37, 53, 16), (41, 67, 23), (16, 100, 31), (33, 33, 17), (50, 18, 49), (1, 40, 16), (40, 3, 19), (35, 64, 37)]
"""Odd sizes, and tiles from the smallest to nearly the whole."""


@pytest.fixture(params=MADE_UP)
def network(request: pytest.FixtureRequest) -> Network:
    return MADE_UP[request.param].network()


def enlarged(network: Network, picture: Tensor, plan: Plan | None = None) -> Tensor:
    scale = network.scale
    out = torch.full((1, 3, scale * picture.shape[2], scale * picture.shape[3]), torch.nan)

    def sink(box: Box, part: Tensor) -> None:
        assert part.shape == (1, 3, box.height, box.width)
        out[:, :, box.top : box.bottom, box.left : box.right] = part

    upscale(network, picture, sink, plan or Plan())
    return out


def assert_same_picture(got: Tensor, expected: Tensor) -> None:
    assert (got - expected).abs().max().item() * 255 < LEVELS
    assert torch.equal((got * 255).round(), (expected * 255).round())


def test_every_method_is_held_to_the_laws():
    assert {made_up.method for made_up in MADE_UP.values()} == set(ROOMS)


@pytest.mark.parametrize("height, width", [(7, 9), (1, 1), (1, 13), (13, 1), (3, 2), (24, 17)])
def test_output_is_scale_times_input_finite_and_in_range(network, height, width):
    output = enlarged(network, photo(height, width))
    assert output.shape == (1, 3, network.scale * height, network.scale * width)
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()
    assert output.min() >= 0
    assert output.max() <= 1


def test_made_up_networks_change_their_picture(network):
    picture = photo(40, 60)
    plain = torch.nn.functional.interpolate(picture, scale_factor=network.scale, mode="bilinear")
    assert (enlarged(network, picture) - plain).abs().mean().item() * 255 > 2


@pytest.mark.parametrize("level", [0.0, 1 / 255, 1.0])
@pytest.mark.parametrize("plan", [Plan(), Plan(tile=16, self_ensemble=True)])
def test_black_nearly_black_and_white(network, level, plan):
    output = enlarged(network, torch.full((1, 3, 19, 22), level), plan)
    assert torch.isfinite(output).all()
    assert 0 <= output.min() <= output.max() <= 1


def test_a_dark_picture_keeps_its_meaning(network):
    """Nobody guesses a range from the values: a network sees 1/255 of black as that, and not as white."""
    dark = torch.zeros(1, 3, 20, 20)
    dark[:, :, 8:12, 8:12] = 1 / 255
    assert (enlarged(network, dark) - enlarged(network, torch.zeros_like(dark))).abs().max() < 0.2


def test_deterministic(network):
    picture, plan = photo(30, 41), Plan(tile=16, self_ensemble=True)
    assert torch.equal(enlarged(network, picture, plan), enlarged(network, picture, plan))


def test_picture_is_left_as_it_was(network):
    picture = photo(20, 30)
    enlarged(network, picture, Plan(tile=16, self_ensemble=True))
    assert torch.equal(picture, photo(20, 30))


@pytest.mark.parametrize("memory", [2 * 1024**3, 0], ids=["kept", "redone"])
@pytest.mark.parametrize("height, width, tile", TILED)
def test_tiled_is_whole(network, height, width, tile, memory):
    picture = photo(height, width)
    assert_same_picture(enlarged(network, picture, Plan(tile=tile, memory=memory)), enlarged(network, picture))


@pytest.mark.parametrize("memory", [2 * 1024**3, 0], ids=["kept", "redone"])
@pytest.mark.parametrize("height, width, tile", TILED[:2] + TILED[5:7])
def test_tiled_is_whole_for_the_ensemble(network, height, width, tile, memory):
    picture = photo(height, width)
    plan = Plan(tile=tile, memory=memory, self_ensemble=True)
    assert_same_picture(enlarged(network, picture, plan), enlarged(network, picture, Plan(self_ensemble=True)))


@pytest.mark.parametrize("top, left", [(0, 0), (0, 7), (5, 0), (11, 13)])
def test_a_tile_is_the_same_wherever_it_begins(network, top, left):
    """Moving a picture by a pixel moves every seam; the whole picture's result cannot notice."""
    picture = photo(48, 60)[:, :, top:, left:]
    assert_same_picture(enlarged(network, picture, Plan(tile=16)), enlarged(network, picture))


def test_ensemble_is_the_mean_over_the_eight_turned_pictures(network):
    picture = photo(21, 26)
    turns = [lambda x, k=k, f=f: torch.rot90(x.flip(3) if f else x, k, (2, 3)) for k in range(4) for f in (False, True)]
    backs = [lambda x, k=k, f=f: _unflip(torch.rot90(x, -k, (2, 3)), f) for k in range(4) for f in (False, True)]
    eight = [back(enlarged(network, turn(picture))) for turn, back in zip(turns, backs, strict=True)]
    expected = torch.stack(eight).mean(0)
    assert_same_picture(enlarged(network, picture, Plan(self_ensemble=True)), expected)
    assert (eight[0] - expected).abs().max() > 1 / 255


def _unflip(x: Tensor, flipped: bool) -> Tensor:
    return x.flip(3) if flipped else x


@pytest.mark.parametrize("batch", [3, 8])
@pytest.mark.parametrize("height, width, tile", [(37, 53, 16), (32, 32, 16), (20, 31, 0)])
def test_copies_in_batches_are_copies_one_by_one(network, monkeypatch, height, width, tile, batch):
    """As on a GPU, where the turned copies of a tile run together."""
    picture, plan = photo(height, width), Plan(tile=tile, self_ensemble=True)
    expected = enlarged(network, picture, plan)
    monkeypatch.setattr(upscaler, "_batch_size", lambda *_: batch)
    assert_same_picture(enlarged(network, picture, plan), expected)


@pytest.mark.parametrize("name", MADE_UP)
def test_state_goes_through_a_file_unchanged(name, tmp_path):
    made_up, path = MADE_UP[name], tmp_path / "model.safetensors"
    write_safetensors(made_up.state(), path, {"method": made_up.method})
    state, _ = read_state_dict(path)
    method = load_method(made_up.method)
    require_tensors(state, method.expected_tensors(made_up.options), name)
    from_file = method.build(state, made_up.options, CPU)
    picture = photo(17, 22)
    assert torch.equal(enlarged(from_file, picture), enlarged(made_up.network(), picture))


@pytest.mark.parametrize("name", MADE_UP)
@torch.no_grad()
def test_what_another_method_trains_is_what_is_run(name):
    made_up, picture = MADE_UP[name], photo(13, 17)
    trained = load_method(made_up.method).trainable(made_up.options).eval()
    trained.generator.load_state_dict(made_up.state())
    network = made_up.network()
    assert trained.scale == network.scale
    torch.testing.assert_close(trained(picture).clamp(0, 1), enlarged(network, picture), atol=1e-4, rtol=0)
    assert trained(picture, torch.bfloat16).dtype == torch.float32


@pytest.mark.parametrize("name", MADE_UP)
def test_a_network_without_weights_can_be_planned_with(name):
    made_up = MADE_UP[name]
    planned, real = load_method(made_up.method).build(None, made_up.options, CPU), made_up.network()
    assert (planned.scale, planned.halo) == (real.scale, real.halo)
    assert planned.tile_bytes(64, 32) == real.tile_bytes(64, 32) > 0
    assert planned.tile_bytes(128, 64) == 4 * planned.tile_bytes(64, 32)
