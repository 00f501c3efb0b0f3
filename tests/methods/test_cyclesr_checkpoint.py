"""CycleSR's checkpoints: both layouts, what they tell of themselves, and what is trained and exported."""

from pathlib import Path

import pytest
import torch

from upscale_cli.errors import UsageError
from upscale_cli.inference.device import CPU
from upscale_cli.inference.tiling import plan_tiles
from upscale_cli.methods.cyclesr.checkpoint import build, expected_tensors, recognised, trainable
from upscale_cli.weights.checkpoint import read_state_dict, write_safetensors

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"network": "srresnet", "features": 4, "blocks": 2, "scale": 3}


def test_srresnet_has_the_official_names():
    tensors = expected_tensors(SMALL)
    assert tensors["body.1.conv2.weight"] == (4, 4, 3, 3)
    assert tensors["upconv1.weight"] == (36, 4, 3, 3)
    assert tensors["conv_hr.bias"] == (4,)
    assert "upconv2.weight" not in tensors
    assert "upconv2.weight" in expected_tensors(SMALL | {"scale": 4})


@pytest.mark.parametrize(("options", "named"), [
    ({"network": "rcan"}, "network"),
    ({"scale": 8}, "scale"),
    ({"block": 5}, "block"),
])  # fmt: skip
def test_wrong_options_are_named(options, named):
    with pytest.raises(UsageError, match=named):
        expected_tensors(options)


@pytest.mark.parametrize("options", [
    {"network": "vdsr", "scale": 4, "features": 64, "blocks": 20},
    {"network": "vdsr", "scale": 2, "features": 5, "blocks": 2},
    {"network": "srresnet", "scale": 2, "features": 8, "blocks": 1},
    {"network": "srresnet", "scale": 3, "features": 4, "blocks": 11},
    {"network": "srresnet", "scale": 4, "features": 64, "blocks": 16},
])  # fmt: skip
def test_a_file_tells_its_sizes(options):
    assert recognised(expected_tensors(options)) == options


def test_another_methods_file_is_not_recognised():
    for tensors in (expected_tensors({"blocks": 2}), expected_tensors(SMALL)):
        assert recognised({name: shape for name, shape in tensors.items() if "body.0.conv" not in name}) is None
        assert recognised(tensors | {"more.weight": (3, 3)}) is None
    assert recognised(expected_tensors(SMALL) | {"upconv1.weight": (100, 4, 3, 3), "upconv1.bias": (100,)}) is None
    assert recognised({"head.0.weight": (64, 3, 3, 3)}) is None
    assert recognised({}) is None


@pytest.mark.parametrize("options", [SMALL, {"features": 4, "blocks": 2, "padding": "replicate"}])
def test_what_is_trained_and_exported_is_what_is_run(options, tmp_path: Path):
    torch.manual_seed(0)
    network = trainable(options)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(3):
        x = torch.rand(2, 3, 8, 8)
        optimiser.zero_grad()
        (network(x) - 0.5).square().mean().backward()
        optimiser.step()
    write_safetensors(network.generator.state_dict(), tmp_path / "x.safetensors", {})
    state, _ = read_state_dict(tmp_path / "x.safetensors")
    x, frame = torch.rand(1, 3, 7, 9), plan_tiles(7, 9, 0, 0)[0].frame
    with torch.inference_mode():
        trained, run = network.eval()(x), build(state, options, CPU).partial(x, frame)
    assert trained.shape == (1, 3, network.scale * 7, network.scale * 9)
    torch.testing.assert_close(run, trained, atol=1e-5, rtol=0)
    assert (run - build(None, options, CPU).partial(x, frame)).abs().max() > 1e-3
