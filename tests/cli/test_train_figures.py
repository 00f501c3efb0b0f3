"""Running means, speed and the best validation."""

import pytest

from upscale_cli.cli.train_figures import RECENT, TrainFigures, duration_text, figures_text
from upscale_cli.training.watch import Progress


def test_losses_and_speed_are_means_over_the_recent_steps():
    figures = TrainFigures(max_steps=1000, batch=8)
    for step in range(1, 2 * RECENT + 1):
        standing = figures.add(Progress(step, 1e-4, {"l1": float(step)}, 1.0 if step <= RECENT else 0.5))
    assert standing.losses == {"l1": RECENT + (RECENT + 1) / 2}
    assert standing.patches_per_second == 16
    assert standing.seconds_left == (1000 - 2 * RECENT) * 0.5


def test_a_term_that_begins_later_is_the_mean_of_where_it_was():
    figures = TrainFigures(10, 1)
    figures.add(Progress(1, 1e-4, {"l1": 4.0}, 1.0))
    assert figures.add(Progress(2, 1e-4, {"l1": 2.0, "gan": 2.0}, 1.0)).losses == {"l1": 3.0, "gan": 2.0}


def test_the_best_validation_is_kept_beside_the_last():
    figures = TrainFigures(10, 1)
    assert figures.add(Progress(1, 1e-4, {}, 1.0)).best is None
    for step, psnr in ((2, 24.0), (4, 26.0), (6, 25.0)):
        figures.add(Progress(step, 1e-4, {}, 1.0, {"psnr": psnr, "ssim": 1 / psnr}))
    standing = figures.add(Progress(7, 1e-4, {}, 1.0))
    assert str(standing.validated) == "psnr 25.00, ssim 0.0400 at step 6"
    assert str(standing.best) == "psnr 26.00, ssim 0.0385 at step 4"


@pytest.mark.parametrize("waited, said", [(0.02, False), (0.25, True)])
def test_waiting_for_data_is_said_where_it_costs(waited: float, said: bool):
    standing = TrainFigures(3, 8).add(Progress(1, 1e-4, {}, 1.0, waited=waited))
    assert standing.waiting == waited
    assert ("(25% of the time waiting for data)" in standing.speed_text) is said


def test_figures_below_one_have_four_digits():
    assert figures_text({"psnr": 24.814, "ssim": 0.58416, "lr_x": -0.5}) == "psnr 24.81, ssim 0.5842, lr_x -0.5000"


@pytest.mark.parametrize(
    "seconds, text", [(0, "0 s"), (29, "29 s"), (31, "1 min"), (3599, "1 h 0 min"), (7530, "2 h 6 min")]
)
def test_durations(seconds: float, text: str):
    assert duration_text(seconds) == text
