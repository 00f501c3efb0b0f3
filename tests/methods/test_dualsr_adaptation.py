"""What DualSR learns from one picture, beyond the numbers of its authors."""

import numpy as np
import pytest
import torch

from upscale_cli.inference.device import CPU
from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.checkpoint import build, expected_tensors, recognised
from upscale_cli.methods.dualsr.config import AdaptationSettings, GeneratorSettings
from upscale_cli.methods.dualsr.crops import draw_crops, gradient_map, working_picture
from upscale_cli.methods.dualsr.regularisation import Regularisation
from upscale_cli.training.learner import Learner
from upscale_cli.training.processes import Processes
from upscale_cli.weights.checkpoint import read_state_dict

SMALL = AdaptationSettings(generator=GeneratorSettings(features=16), patch=32, max_steps=3)


def _noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, channels), np.uint8)


def _learned(adaptation: Adaptation) -> list[dict[str, float]]:
    learner = Learner(adaptation, adaptation.settings, Processes(torch.device("cpu")))
    shown = []
    for step in range(adaptation.settings.max_steps):
        learner.begin(step)
        adaptation.step(step, adaptation.draw(step, range(2)), learner.update)
        shown.append(learner.end())
    return shown


def test_the_same_seed_is_the_same_run_and_another_is_not():
    picture = _noise(64, 70)
    first, again = (_learned(Adaptation(picture, SMALL)) for _ in range(2))
    other = _learned(Adaptation(picture, SMALL.model_copy(update={"seed": 1})))
    assert first == again
    assert first != other


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_is_learned_from_without_a_fault(level):
    shown = _learned(Adaptation(np.full((60, 64, 3), level, np.uint8), SMALL))
    assert all(np.isfinite(list(step.values())).all() for step in shown)


def _forward(**options: object) -> AdaptationSettings:
    return SMALL.model_copy(update={"course": "forward", **options})


def test_in_the_forward_course_the_upsampler_alone_learns_from_where_it_begins():
    picture = _noise(64, 70)
    start = {name: value / 2 for name, value in Adaptation(picture, SMALL).G_UP.state_dict().items()}
    adaptation = Adaptation(picture, _forward(), start=start)
    torch.testing.assert_close(dict(adaptation.G_UP.state_dict()), start)
    assert set(adaptation.groups) == {"up"}
    before = adaptation.kernel()
    shown = _learned(adaptation)
    assert set(shown[0]) == {"cycle_forward", "total"}
    assert np.array_equal(adaptation.kernel(), before)
    assert before.sum() == pytest.approx(1)
    assert any((value != start[name]).any() for name, value in adaptation.G_UP.state_dict().items())


def test_the_forward_course_takes_a_kernel_that_is_known():
    known = np.zeros((13, 13))
    known[6, 6] = 1
    start = Adaptation(_noise(64, 70), SMALL).G_UP.state_dict()
    adaptation = Adaptation(_noise(64, 70), _forward(), known, start=start)
    assert np.array_equal(adaptation.kernel(), known)
    other = _learned(Adaptation(_noise(64, 70), _forward(), start=start))
    assert _learned(adaptation) != other


def test_grey_and_16_bit_pictures_are_the_picture_that_they_show():
    grey = _noise(64, 64, 1)
    batches = [
        Adaptation(pixels, SMALL).draw(0, range(2))
        for pixels in (grey, grey.repeat(3, axis=2), grey.astype(np.uint16) * 257)
    ]
    for batch in batches[1:]:
        torch.testing.assert_close(batch.hr, batches[0].hr)


def test_crops_lie_within_the_picture_also_where_it_is_no_larger():
    for sides in ((32, 32), (32, 90), (50, 34)):
        crops = draw_crops(_noise(*sides) / 255, 32, 60, 0)
        for places, side in ((crops.hr, 32), (crops.lr, 16)):
            assert (places >= 0).all()
            assert (places + side <= sides).all()
            assert (places % 2 == 0).all()


def test_crops_go_where_the_detail_is():
    picture = np.full((200, 300, 3), 0.5)
    picture[60:140, 200:280] = _noise(80, 80) / 255
    crops = draw_crops(picture, 32, 400, 0)
    in_detail = (crops.lr[:, 1] + 8 > 180).mean()
    assert in_detail > 0.9
    assert gradient_map(picture)[:, :150].max() < gradient_map(picture)[:, 200:].max() / 100


def test_the_border_is_left_out_and_sides_are_even():
    picture = np.arange(61 * 70, dtype=np.float64).reshape(61, 70, 1)
    inside = working_picture(picture)
    assert inside.shape == (40, 50, 1)
    assert inside[0, 0, 0] == picture[10, 10, 0]


def test_the_weights_wait_until_the_kernel_is_near_bicubic():
    regularisation = Regularisation()
    for step in range(1, 190):
        regularisation.advance(step, 0.3 if step % 3 else 0.5)  # never three times in a row
    regularisation.advance(200, 0.3)
    assert regularisation.weights["bicubic"] == 5
    for step in range(201, 401):
        regularisation.advance(step, 0.3)
    assert regularisation.weights["bicubic"] == 0.05
    again = Regularisation()
    again.load_state_dict(regularisation.state_dict())
    assert again.weights == regularisation.weights


def test_what_was_learned_is_a_checkpoint_that_upscale_run_takes(tmp_path):
    adaptation, path = Adaptation(_noise(60, 60), SMALL), tmp_path / "learned.safetensors"
    adaptation.export(adaptation.network, path, 3)
    state, metadata = read_state_dict(path)
    assert metadata["method"] == "dualsr"
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert recognised(shapes) == {"features": 16}
    assert expected_tensors({"features": 16}) == shapes
    assert build(state, {"features": 16}, CPU).scale == 2


def test_other_networks_are_not_taken_for_this_one():
    assert recognised({"model.0.weight": (16, 3, 5, 5)}) is None
    assert recognised({"model.0.weight": (16, 3, 3, 3)}) is None
