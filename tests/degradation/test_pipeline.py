"""The degradation as a whole: by seed, within its ranges, each step as often as asked."""

from typing import Any

import numpy as np
import pytest

from upscale_cli.config.toml_file import parse
from upscale_cli.degradation import pipeline
from upscale_cli.degradation.operations import Pixels, downsample
from upscale_cli.degradation.pipeline import DegradationSettings, degrade
from upscale_cli.errors import UsageError

NOTHING = {"blur_probability": 0, "noise_probability": 0, "jpeg_probability": 0}


@pytest.fixture(scope="module")
def hr() -> Pixels:
    rng = np.random.default_rng(5)
    return np.repeat(np.repeat(rng.integers(0, 256, (16, 24, 3), dtype=np.uint8), 4, 0), 4, 1)


def test_the_same_seed_degrades_alike_and_another_one_differently(hr: Pixels):
    settings = DegradationSettings()
    outcomes = [degrade(hr, 4, settings, np.random.default_rng(seed)) for seed in range(20)]
    again = [degrade(hr, 4, settings, np.random.default_rng(seed)) for seed in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(outcomes, again, strict=True))
    assert all(outcome.shape == (16, 24, 3) and outcome.dtype == np.uint8 for outcome in outcomes)
    assert len({outcome.tobytes() for outcome in outcomes}) >= 18  # a few may get the same kernel and nothing else


def test_the_input_is_left_as_it_was(hr: Pixels):
    before = hr.copy()
    for seed in range(5):
        degrade(hr, 4, DegradationSettings(), np.random.default_rng(seed))
    assert np.array_equal(hr, before)


def test_with_every_step_left_out_only_the_downsampling_remains(hr: Pixels):
    settings = DegradationSettings.model_validate(NOTHING | {"kernels": ["lanczos"]})
    assert np.array_equal(degrade(hr, 4, settings, np.random.default_rng(0)), downsample(hr, 4, "lanczos"))


def test_parameters_stay_in_their_ranges_and_come_as_often_as_asked(hr: Pixels, monkeypatch: pytest.MonkeyPatch):
    drawn: dict[str, list[Any]] = {"blur": [], "add_sensor_noise": [], "compress": [], "downsample": []}
    for name, position in (("blur", 1), ("add_sensor_noise", 1), ("compress", 1), ("downsample", 2)):
        real = getattr(pipeline, name)

        def spy(*arguments: Any, _name: str = name, _position: int = position, _real: Any = real) -> Any:
            drawn[_name].append(arguments[_position])
            return _real(*arguments)

        monkeypatch.setattr(pipeline, name, spy)
    settings = DegradationSettings(
        blur_sigma=(0.5, 1.5), noise_sigma=(2, 9), jpeg_quality=(40, 45), kernels=("box", "bicubic", "bicubic")
    )
    for seed in range(600):
        degrade(hr[:16, :16], 4, settings, np.random.default_rng(seed))
    for name, (low, high), probability in (
        ("blur", settings.blur_sigma, settings.blur_probability),
        ("add_sensor_noise", settings.noise_sigma, settings.noise_probability),
        ("compress", settings.jpeg_quality, settings.jpeg_probability),
    ):
        assert low <= min(drawn[name]) <= low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) <= max(drawn[name]) <= high
        assert len(drawn[name]) / 600 == pytest.approx(probability, abs=0.08)
    assert set(drawn["compress"]) == {40, 41, 42, 43, 44, 45}
    assert drawn["downsample"].count("bicubic") / 600 == pytest.approx(2 / 3, abs=0.08)


@pytest.mark.parametrize(
    "values",
    [
        {"blur_sigma": [2.0, 0.2]},
        {"blur_sigma": [0.0, 1.0]},
        {"noise_sigma": [-1, 3]},
        {"noise_sigma": [0, float("inf")]},
        {"jpeg_quality": [0, 50]},
        {"jpeg_quality": [30, 101]},
        {"jpeg_quality": [90, 30]},
        {"kernels": []},
        {"kernels": ["nearest"]},
        {"noise_probability": 1.5},
        {"noise_sgima": [0, 1]},
    ],
)
def test_ranges_that_make_no_sense_are_refused_by_name(values: dict[str, Any]):
    with pytest.raises(UsageError, match=next(iter(values))):
        parse(DegradationSettings, values, "recipe")
