"""Two steps of the authors' own training loop, followed by ours: same weights, same batch, same order of updates.

The official generator and the photographs are not ours to pass on: both are read from ../shared/golden, and the tests
are skipped where that folder is not there. VGG-19 is stood in for by means of 8x8 pixels, there as here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.methods.srrescycgan.training import Training, TrainingSettings
from upscale_cli.training.datasets import Batch
from upscale_cli.training.learner import Learner
from upscale_cli.training.processes import Processes
from upscale_cli.weights.checkpoint import read_state_dict

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
WEIGHTS = GOLDEN / "srrescgan" / "srrescgan_model.pth"
STEP = GOLDEN / "srrescycgan" / "train_step.json"
pytestmark = pytest.mark.skipif(
    not (WEIGHTS.is_file() and STEP.is_file()), reason="no official weights at ../shared/golden"
)


class Means(nn.Module):
    """Stands in for VGG-19; RGB in [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x * 255, 8)


def _recipe_weights(entries: list[Any]) -> dict[str, Tensor]:
    state = {}
    for name, shape, offset, scale, seed in entries:
        draws = np.random.RandomState(seed).random_sample(tuple(shape))
        state[name] = torch.from_numpy((offset + scale * (2 * draws - 1)).astype(np.float32))
    return state


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, list[dict[str, float]], list[dict[str, Tensor]]]:
    """The networks after two steps, the terms of both, and the generator's tensors after each."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("real_128_0.png", "real_128_1.png"):
        picture = Image.open(GOLDEN / "srrescycgan" / name).convert("RGB")
        picture.resize((160, 160)).save(folder / name)  # only there so that the recipe has a folder
    settings = TrainingSettings.model_validate(
        {
            "name": "two-steps",
            "method": "srrescycgan",
            "batch": 2,
            "data": {"train": folder},
            "loss": {"l1": 10, "tv": 1, "gan": 0.5, "per": 1},  # half of Eq. (6) there
        }
    )
    training = Training(settings, lambda text: None, Means())
    training.G_SR.load_state_dict(read_state_dict(WEIGHTS)[0])
    recipe = json.loads((GOLDEN / "srrescycgan" / "disc_vgg128_full_nf64.json").read_text())["recipe_weights"]
    assert training.D_x is not None
    training.D_x.load_state_dict(_recipe_weights(recipe["entries"]), strict=False)

    lr = np.load(STEP.with_suffix(".npz"))["lr"]
    hr = [np.asarray(Image.open(GOLDEN / "srrescycgan" / f"real_128_{i}.png").convert("RGB")) for i in (0, 1)]
    batch = Batch(torch.cat([to_tensor(y) for y in lr]), torch.cat([to_tensor(x) for x in hr]))
    learner = Learner(training, settings, Processes(torch.device("cpu")))
    terms, states = [], []
    for number in (0, 1):
        learner.begin(number)
        training.step(number, batch, learner.update)
        terms.append(learner.end())
        states.append({name: value.clone() for name, value in training.G_SR.state_dict().items()})
        states[-1]["D bn0_1"] = training.D_x.state_dict()["bn0_1.running_mean"].clone()
        states[-1]["D count"] = training.D_x.state_dict()["bn0_1.num_batches_tracked"].clone()
    return training, terms, states


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads(STEP.read_text())["scalars"]


def _tolerance(entry: dict[str, Any]) -> dict[str, float]:
    return {"rel": entry.get("max_rel_tolerance", 0), "abs": entry.get("max_abs_tolerance", 0)}


@pytest.mark.parametrize(
    "step, term, name, weight",
    [
        (step, *rest)
        for step in (1, 2)
        for rest in (
            ("l1", "pixel_l1", 10),
            ("per", "feature_standin_l1", 1),
            ("tv", "tv", 1),
            ("gan", "gan_generator", 1),
        )
    ],
)
def test_each_term_of_the_generator(
    steps: Any, expected: dict[str, Any], step: int, term: str, name: str, weight: float
):
    entry = expected[f"step{step}_{name}"]
    assert steps[1][step - 1][term] / weight == pytest.approx(entry["value"], **_tolerance(entry))


def test_the_discriminators_loss(steps: Any, expected: dict[str, Any]):
    total = sum(expected[f"step1_discriminator_{side}"]["value"] for side in ("real", "fake"))
    assert steps[1][0]["d_x"] == pytest.approx(total, abs=0.004)


def test_the_generator_moves_as_far(steps: Any, expected: dict[str, Any]):
    before = read_state_dict(WEIGHTS)[0]
    for name, norm in expected["step1_generator_update_norms"]["value"].items():
        if name != "alpha":
            assert (steps[2][0][name] - before[name]).norm().item() == pytest.approx(norm, rel=2e-3), name


def test_some_tensors_after_the_first_step(steps: Any):
    arrays = np.load(STEP.with_suffix(".npz"))
    for name, key, tolerance in (
        ("model.conv_out.bias", "step1_conv_out_bias_after", 2e-6),
        ("model.conv1.weight_g", "step1_conv1_weight_g_after", 2e-5),
    ):
        actual = steps[2][0][name].flatten()
        torch.testing.assert_close(actual, torch.from_numpy(arrays[key]).flatten(), atol=tolerance, rtol=0)


def test_the_discriminator_saw_four_batches(steps: Any, expected: dict[str, Any]):
    entry = expected["step1_D_bn0_1_running_mean_first4"]
    assert steps[2][0]["D bn0_1"][:4].tolist() == pytest.approx(entry["value"], abs=1e-3)
    assert steps[2][0]["D count"].item() == 4
