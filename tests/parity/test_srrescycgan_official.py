"""The generator against numbers from the authors' own code and weights (SRResCGAN, whose network SRResCycGAN shares).

The official weights are 1.5 MB and not ours to pass on: tests that need them read them, and the numbers that go with
them, from ../shared/golden/srrescgan, and are skipped where that folder is not there.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.inference.device import CPU, prepare_device
from upscale_cli.inference.network import Network
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.tiling import WHOLE, Frame
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods.srrescycgan import checkpoint
from upscale_cli.methods.srrescycgan.generator import noise_bound, upsample
from upscale_cli.weights.checkpoint import read_state_dict, require_tensors

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "srrescgan"
WEIGHTS = GOLDEN / "srrescgan_model.pth"
pytestmark = pytest.mark.skipif(not WEIGHTS.is_file(), reason="no official weights at ../shared/golden/srrescgan")
LEVELS = 1e-2
"""What a float32 output may differ by, in levels of 255."""
WHOLE_FRAME = Frame(0, 0, 0, 0, WHOLE)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    loaded, _ = read_state_dict(WEIGHTS)
    require_tensors(loaded, checkpoint.expected_tensors({}), "the official file")
    return loaded


@pytest.fixture(scope="module")
def network(state: dict[str, Tensor]) -> Network:
    prepare_device(CPU.device)
    return checkpoint.build(state, {}, CPU)


def _scalars(name: str) -> dict[str, Any]:
    scalars = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["scalars"]
    return {key: entry["value"] for key, entry in scalars.items()}


def _arrays(name: str) -> Any:
    return np.load(GOLDEN / f"{name}.npz")


def _picture(name: str) -> np.ndarray:
    return np.asarray(Image.open(GOLDEN / name).convert("RGB"))


def _enlarged(network: Network, pixels: np.ndarray, plan: Plan | None = None) -> Tensor:
    """Pixels (H, W, 3) uint8 -> (1, 3, 4H, 4W) in [0, 1]."""
    out = torch.full((1, 3, 4 * pixels.shape[0], 4 * pixels.shape[1]), torch.nan)
    upscale(network, to_tensor(pixels), lambda box, part: _paste(out, box, part), plan or Plan())
    return out


def _paste(out: Tensor, box: Any, part: Tensor) -> None:
    out[:, :, box.top : box.bottom, box.left : box.right] = part


def _difference(got: Tensor, expected: np.ndarray) -> float:
    """The largest difference in levels; got: (1, 3, H, W) in [0, 1], expected: (3, H, W) in [0, 255]."""
    return float((got[0].double() * 255 - torch.from_numpy(np.asarray(expected, np.float64))).abs().max())


def _quantities(network: Network, alpha: Tensor, pixels: np.ndarray) -> dict[str, float]:
    """What the projection works with, as the upscaler asks the network for it, in the goldens' words."""
    x = to_tensor(pixels)
    sigma = network.measure(x)
    energy = network.contribution(network.partial(x, WHOLE_FRAME))
    size = 48 * x.shape[2] * x.shape[3]
    return {
        "sigma_times_255": sigma.item(),
        "residual_norm": energy.sqrt().item(),
        "epsilon": noise_bound(sigma, alpha, size).item(),
        "projection_factor": network.settle(sigma, energy, size // 3).item(),
    }


def _check(got: dict[str, float], expected: dict[str, float]) -> None:
    """sigma is about 1e-5 of the range, where rounding alone is a thousandth of it; ours rounds as the official one."""
    assert got["sigma_times_255"] == pytest.approx(expected["sigma_times_255"], rel=1e-5)
    assert got["residual_norm"] == pytest.approx(expected["residual_norm"], rel=1e-4)  # theirs is summed in float32
    assert got["epsilon"] == pytest.approx(expected["epsilon"], rel=1e-5)
    if "projection_factor" in expected:
        assert got["projection_factor"] == pytest.approx(expected["projection_factor"], rel=1e-5)


def test_the_official_file_holds_what_is_expected(state):
    expected = _scalars("weights_srrescgan")
    assert sum(value.numel() for value in state.values()) == expected["n_parameters"]
    assert state["alpha"].item() == expected["alpha"]


@pytest.mark.parametrize("name", ["whole_48x64", "whole_37x53"])
def test_whole_picture(network, name):
    got = _enlarged(network, _picture(f"lr_{name.removeprefix('whole_')}.png"))
    assert _difference(got, _arrays(name)["output"]) < LEVELS
    assert got.mean().item() * 255 == pytest.approx(_scalars(name)["output_mean"], abs=1e-4)


def test_residual_before_the_projection(network):
    partial = network.partial(to_tensor(_picture("lr_37x53.png")), WHOLE_FRAME)
    assert _difference(partial / 255, _arrays("whole_37x53")["residual_unprojected"]) < LEVELS


def test_self_ensemble(network):
    got = _enlarged(network, _picture("lr_37x53.png"), Plan(self_ensemble=True))
    stored_within = 1 / 512  # the golden is rounded to 1/256 of a level
    assert _difference(got, _arrays("whole_37x53")["ensemble_output"] / 256.0) < LEVELS + stored_within


@pytest.mark.parametrize("name", ["whole_48x64", "whole_37x53", "real_160x160"])
def test_quantities_of_the_projection(network, state, name):
    picture = _picture(f"lr_{name.removeprefix('whole_')}.png")
    _check(_quantities(network, state["alpha"], picture), _scalars(name))


@pytest.mark.parametrize("sample", [0, 1])
def test_batch_of_two(network, state, sample):
    """The first sample's projection is active, so that a thousandth of sigma would be a tenth of a level."""
    picture = _arrays("batch2_24x28")["input"][sample]
    quantities = {name: value for name, value in _scalars("batch2_24x28").items() if name.endswith(f"_{sample}")}
    expected = {name.removesuffix(f"_{sample}"): value for name, value in quantities.items()}
    _check(_quantities(network, state["alpha"], picture), expected)
    output = _enlarged(network, picture)[:, :, ::4, ::4]
    assert _difference(output, _arrays("batch2_24x28")["output_every_4th_pixel"][sample]) < LEVELS


@pytest.mark.parametrize("case", ["constant", "black01", "flat70", "flat40", "tiny3x2", "zeros"])
def test_edge_cases(network, state, case):
    arrays, scalars = _arrays("edge_cases"), _scalars("edge_cases")
    picture = arrays[f"{case}_input"]
    output = _enlarged(network, picture)
    assert _difference(output, arrays[f"{case}_output"]) < LEVELS
    bilinear = upsample(to_tensor(picture))
    from_bilinear = (output - bilinear).abs().max().item() * 255
    assert from_bilinear == pytest.approx(scalars[f"{case}_max_abs_difference_to_bilinear"], abs=LEVELS)
    got = _quantities(network, state["alpha"], picture)
    assert got["residual_norm"] == pytest.approx(scalars[f"{case}_residual_norm"], rel=1e-5)


@pytest.mark.parametrize(("case", "unit"), [("flat40", 255), ("tiny3x2", 255), ("black01", 1)])
def test_noise_of_edge_cases(network, state, case, unit):
    """The official code takes a picture with no value above 1 for one in [0, 1]; here a range is declared, not guessed.

    So in the almost black picture sigma is the same number in another unit, and the projection is inactive as there.
    """
    got = _quantities(network, state["alpha"], _arrays("edge_cases")[f"{case}_input"])
    assert got["sigma_times_255"] == pytest.approx(_scalars("edge_cases")[f"{case}_sigma_estimator"] * unit, rel=1e-5)


def test_real_photograph_as_the_demo_wrote_it(network):
    output = _enlarged(network, _picture("lr_real_160x160.png"), Plan(tile=64))
    written = from_tensor(output, np.uint8, "rgb").astype(int)
    off = np.abs(written - _picture("sr_real_640x640.png"))
    assert off.max() <= 1
    assert (off > 0).mean() < 1e-4
    patch = _arrays("real_160x160")["output_patch_rows_288_352_cols_288_352"]
    assert _difference(output[:, :, 288:352, 288:352], patch) < LEVELS


def test_result_that_the_authors_published(network):
    """Their pictures are self-ensembles; away from the crop's border a crop of the input gives a crop of theirs."""
    output = _enlarged(network, _picture("lr_crop_80x80.png"), Plan(self_ensemble=True))
    off = np.abs(from_tensor(output, np.uint8, "rgb")[64:256, 64:256].astype(int) - _picture("hr_patch_192x192.png"))
    assert off.max() <= 1
    assert (off > 0).mean() < 1e-4


@pytest.mark.parametrize("name", ["natural", "flattop"])
def test_tiles_give_the_whole_picture(network, name):
    """The official tiles differ from the official whole picture by up to 120 levels on `flattop`; ours do not."""
    output = _enlarged(network, _picture(f"lr_tiling_{name}.png"), Plan(tile=70))
    golden = _arrays(f"tiling_{name}_150x200")
    key = "whole_every_10th_pixel" if name == "flattop" else "tiled_every_10th_pixel"  # equal there, says the golden
    assert _difference(output[:, :, ::10, ::10], golden[key]) < LEVELS


def test_quantities_of_an_official_tile(network, state):
    golden = json.loads((GOLDEN / "tiling_natural_150x200.json").read_text(encoding="utf-8"))["tiles"]["bottom_right"]
    (top, bottom), (left, right) = golden["rows"], golden["cols"]
    got = _quantities(network, state["alpha"], _picture("lr_tiling_natural.png")[top:bottom, left:right])
    _check(got, golden)
