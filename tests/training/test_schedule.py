"""The learning rate, step by step."""

import itertools

import pytest

from upscale_cli.training.schedule import learning_rate
from upscale_cli.training.settings import OptimiserSettings


def test_milestones_halve_the_rate_from_their_step_on():
    settings = OptimiserSettings(lr=1e-4, schedule="milestones", milestones=(5_000, 10_000, 20_000, 30_000))
    rates = [learning_rate(step, 51_000, settings) for step in (0, 4_999, 5_000, 9_999, 10_000, 20_000, 30_000, 50_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 1.25e-5, 6.25e-6, 6.25e-6])


def test_the_cosine_falls_from_the_first_rate_to_the_last_one():
    settings = OptimiserSettings(lr=6e-4, schedule="cosine", final_lr=5e-6)
    rates = [learning_rate(step, 1000, settings) for step in range(1001)]
    assert rates[0] == pytest.approx(6e-4)
    assert rates[500] == pytest.approx((6e-4 + 5e-6) / 2)
    assert rates[1000] == pytest.approx(5e-6)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))


def test_linear_is_constant_over_the_first_half_and_would_be_zero_after_the_last_step():
    settings = OptimiserSettings(lr=2e-4, schedule="linear")
    rates = [learning_rate(step, 1000, settings) for step in (0, 250, 500, 625, 750, 999)]
    assert rates == pytest.approx([2e-4, 2e-4, 2e-4, 1.5e-4, 1e-4, 4e-7])


@pytest.mark.parametrize("schedule", ["milestones", "cosine", "linear"])
def test_warming_up_rises_linearly_and_never_starts_at_zero(schedule):
    warm = OptimiserSettings(lr=1e-3, schedule=schedule, warmup=100)
    cold = OptimiserSettings(lr=1e-3, schedule=schedule)
    shares = [learning_rate(step, 10_000, warm) / learning_rate(step, 10_000, cold) for step in range(150)]
    assert shares == pytest.approx([min(1.0, (step + 1) / 100) for step in range(150)])
