"""What is looked at of a CycleGAN: the drift of colours, and pictures side by side."""

import numpy as np
import pytest
import torch
from torch import Tensor

from upscale_cli.degradation.operations import downsample
from upscale_cli.methods.cyclesr.training_settings import TranslationSettings
from upscale_cli.methods.cyclesr.translation import CycleGAN
from upscale_cli.methods.cyclesr.watching import DRIFT, LOOKED_AT, Drift, Probe, normalised
from upscale_cli.training.pictures import Pair, Pixels

pytestmark = pytest.mark.usefixtures("one_thread")


class Shifting(torch.nn.Module):
    """A translator that adds to red, in [-1, 1], and makes contrast less."""

    def __init__(self, red: float) -> None:
        super().__init__()
        self.change = torch.nn.Parameter(torch.tensor([red, 0, 0])[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return x / 2 + self.change


def _reduced(hr: Pixels, _rng: np.random.Generator) -> Pixels:
    return downsample(hr, 4, "bicubic")


def _probe(count: int) -> Probe:
    pictures = np.random.default_rng(0).integers(64, 192, (count, 32, 48, 3), dtype=np.uint8)
    return Probe([Pair(picture) for picture in pictures], _reduced)


def _cycle(red: float) -> CycleGAN:
    cycle = CycleGAN(TranslationSettings(features=2, blocks=1, judge_features=2), 24)
    cycle.G_s2r = Shifting(red)  # type: ignore[assignment]
    return cycle


def test_drift_is_that_of_the_worst_channels_mean_in_grey_levels():
    drift = _probe(3).drift(_cycle(0.2))
    assert drift.levels == pytest.approx(0.2 * 127.5, abs=1.5)  # the pictures' means are near the middle
    assert "colours drift by 2" in drift.said


@pytest.mark.parametrize(("levels", "faulty"), [(DRIFT, False), (DRIFT + 0.1, True)])
def test_more_than_ten_levels_are_a_fault(levels: float, faulty: bool):
    assert Drift(levels).faulty is faulty


def test_translations_stand_beside_what_they_are_of():
    translations = _probe(LOOKED_AT + 2).translations(_cycle(0.2))
    assert list(translations) == [str(number) for number in range(LOOKED_AT)]
    syn, real, like = np.split(translations["0"].astype(float), 3, axis=1)
    assert syn.shape == (8, 12, 3)
    assert (real[..., 0] - real[..., 1]).mean() - (syn[..., 0] - syn[..., 1]).mean() / 2 == pytest.approx(25.5, abs=0.6)
    # It differs in each channel's mean and contrast alone, so that nothing is left of the difference.
    assert np.abs(like - syn).max() <= 2


def test_normalised_has_the_others_mean_and_variance():
    torch.manual_seed(0)
    picture, like = torch.rand(1, 3, 9, 7) * 0.3, torch.rand(1, 3, 5, 6)
    result = normalised(picture, like)
    torch.testing.assert_close(result.mean((2, 3)), like.mean((2, 3)))
    torch.testing.assert_close(result.var((2, 3)), like.var((2, 3)))
    assert bool(normalised(torch.zeros(1, 3, 4, 4), like).isfinite().all())
