"""DualSR's learning, followed step by step beside a run of its authors' own code.

dualsr_run.npz: image (128, 128, 3) uint8; losses, 50 steps of COLUMNS and more; crop_top_left; recipe.<network>, lines
of [name, shape, offset, scale, seed] that made the first weights; official_init_losses, of a run from random weights of
seed 0.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.config import AdaptationSettings
from upscale_cli.training.learner import Learner
from upscale_cli.training.processes import Processes

GOLDEN = np.load(Path(__file__).with_name("dualsr_run.npz"))
COLUMNS = ("gan", "cycle_forward", "cycle_backward", "interpolation", "regularisation", "total", "discriminator")
STEPS = 10
"""Later steps cannot be compared one by one: Adam divides tiny gradients by tiny moments, which amplifies rounding."""
MADE_UP = ((1, 2e-4), (5, 1.5e-3), (STEPS, 0.02))
"""Up to this step, how far each figure may be off: ten times what float64 or another number of threads changes."""
OWN = ((1, 2e-4), (5, 0.063), (STEPS, 0.16))


def _recipe(network: str) -> dict[str, Tensor]:
    """recipe-v1: uniform numbers from NumPy's first generator, some of them a unit vector."""
    state, digest = {}, hashlib.sha256()
    for line in GOLDEN[f"recipe.{network}"].tolist():
        name, shape, offset, scale, seed, *unit = json.loads(line)
        values = offset + scale * (2 * np.random.RandomState(seed).random_sample(shape) - 1)
        values = (values / np.linalg.norm(values) if unit else values).astype("<f4")
        digest.update(values.tobytes())
        state[name] = torch.from_numpy(values)
    assert digest.hexdigest() == str(GOLDEN[f"sha256.{network}"])
    return state


def _adaptation() -> Adaptation:
    """Ready for the 50 steps of the official run, of which fewer are done: all crops are drawn before the first."""
    return Adaptation(GOLDEN["image"], AdaptationSettings(patch=64, max_steps=50))


def _off(adaptation: Adaptation, official: np.ndarray) -> np.ndarray:
    """How far the figures of STEPS steps are from the official ones, relatively: (STEPS, columns)."""
    learner = Learner(adaptation, adaptation.settings, Processes(torch.device("cpu")))
    figures = []
    for step in range(STEPS):
        learner.begin(step)
        adaptation.step(step, adaptation.draw(step, range(2)), learner.update)
        shown = learner.end()
        shown["total"] -= shown["discriminator"]
        figures.append([shown[column] for column in COLUMNS])
    expected = official[:STEPS, : len(COLUMNS)]
    return np.abs(np.array(figures) - expected) / np.maximum(np.abs(expected), 1e-3)


def _assert_within(off: np.ndarray, tolerances: tuple[tuple[int, float], ...]) -> None:
    first = 0
    for last, tolerance in tolerances:
        assert off[first:last].max() < tolerance, (first, off[first:last].max(axis=0))
        first = last


def test_crops_are_those_of_the_run():
    adaptation = _adaptation()
    inside = torch.from_numpy(GOLDEN["image"][10:-10, 10:-10]).permute(2, 0, 1) / 255
    for number, (top, left, small_top, small_left) in enumerate(GOLDEN["crop_top_left"]):
        batch = adaptation.draw(number // 2, range(number % 2, number % 2 + 1))
        torch.testing.assert_close(batch.hr[0], inside[:, top : top + 64, left : left + 64])
        torch.testing.assert_close(batch.lr[0], inside[:, small_top : small_top + 32, small_left : small_left + 32])


def test_losses_follow_the_official_run_from_made_up_weights():
    adaptation = _adaptation()
    for name in ("G_UP", "G_DN", "D_DN"):
        missing, unexpected = getattr(adaptation, name).load_state_dict(_recipe(name), strict=False)
        assert unexpected == []
        assert all(key.endswith("num_batches_tracked") for key in missing)
    _assert_within(_off(adaptation, GOLDEN["losses"]), MADE_UP)


def test_losses_follow_the_official_run_from_its_own_random_weights():
    _assert_within(_off(_adaptation(), GOLDEN["official_init_losses"]), OWN)
