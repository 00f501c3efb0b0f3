"""DualSR's crops, resizing and schedule against numbers from its authors' own code.

dualsr_crops.npz: crops.image (96, 88, 3) uint8, what its maps are and where 40 steps of two crops lie; imresize.*; and
changes_*, rows of [step, rates of G_UP, G_DN and D_DN, weights of the bicubic, centred and sparse terms] as they are
after that step, where any of them changed; low where the bicubic term is always small, high where it never is.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from upscale_cli.methods.dualsr.config import AdaptationSettings
from upscale_cli.methods.dualsr.crops import (
    draw_crops,
    gradient_map,
    hr_probabilities,
    lr_probabilities,
    working_picture,
)
from upscale_cli.methods.dualsr.imresize import doubled, imresize
from upscale_cli.methods.dualsr.regularisation import Regularisation
from upscale_cli.training.schedule import learning_rate

GOLDEN = np.load(Path(__file__).with_name("dualsr_crops.npz"))


@pytest.fixture
def picture() -> np.ndarray:
    return working_picture(GOLDEN["crops.image"] / 255)


def test_maps(picture):
    np.testing.assert_allclose(gradient_map(picture), GOLDEN["crops.gradient_map"], atol=1e-4)
    np.testing.assert_allclose(lr_probabilities(picture, 16), GOLDEN["crops.prob_map_for_lr_patch"], atol=1e-7)
    np.testing.assert_allclose(hr_probabilities(picture, 32), GOLDEN["crops.prob_map_for_hr_patch"], atol=1e-7)


def test_places_are_the_official_ones(picture):
    crops = draw_crops(picture, 32, 80, 0)
    np.testing.assert_array_equal(np.concatenate([crops.hr, crops.lr], axis=1), GOLDEN["crops.crop_top_left"])


@pytest.mark.parametrize("name", ["even", "odd"])
@pytest.mark.parametrize("factor", [2, 0.5])
def test_imresize(name, factor):
    got = imresize(GOLDEN[f"imresize.{name}_input"] / 255, factor)
    np.testing.assert_allclose(got, GOLDEN[f"imresize.{name}_x{factor}"], atol=1e-6)


def test_patches_are_doubled_alike():
    pixels = GOLDEN["imresize.odd_input"] / 255
    got = doubled(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, GOLDEN["imresize.odd_x2"], atol=1e-6)


@pytest.mark.parametrize("course, bicubic", [("low", 0.3), ("high", 0.5)])
def test_rates_and_weights_over_the_whole_run(course, bicubic):
    settings, regularisation = AdaptationSettings(), Regularisation()
    found = []
    for step in range(settings.max_steps):
        regularisation.advance(step, bicubic)
        rates = [learning_rate(step + 1, settings.max_steps, group) for group in (settings.up, settings.down)]
        weights = regularisation.weights
        row = [rates[0], rates[1], rates[1], weights["bicubic"], weights["centred"], weights["sparse"]]
        if not found or row != found[-1][1:]:
            found.append([step, *row])
    expected = GOLDEN[f"changes_{course}"]
    # The last change comes with the last step, and no step follows.
    np.testing.assert_allclose(found, expected[expected[:, 0] < 2999], rtol=1e-9)
