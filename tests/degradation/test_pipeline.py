"""The degradation as a whole: by seed, within its ranges, each step as often as asked."""

import json
import math
from typing import Any

import numpy as np
import pytest

from upscale_cli.config.toml_file import parse
from upscale_cli.degradation.drawn import AnisotropicBlur, Drawn, IsotropicBlur, MotionBlur
from upscale_cli.degradation.motion import shift
from upscale_cli.degradation.operations import Pixels, downsample
from upscale_cli.degradation.pipeline import DegradationSettings, degrade, degrade_and_tell
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


def _drawn(settings: DegradationSettings, times: int = 600) -> list[Drawn]:
    tiny = np.zeros((4, 4, 3), np.uint8)
    return [degrade_and_tell(tiny, 4, settings, np.random.default_rng(seed))[1] for seed in range(times)]


def _fills(values: list[float], bounds: tuple[float, float]) -> bool:
    """Whether the values lie in the bounds and come near to both."""
    low, high = bounds
    near = 0.1 * (high - low)
    return low <= min(values) <= low + near and high - near <= max(values) <= high


def test_parameters_stay_in_their_ranges_and_come_as_often_as_asked():
    settings = DegradationSettings(
        blur_sigma=(0.5, 1.5), noise_sigma=(2, 9), jpeg_quality=(40, 45), kernels=("box", "bicubic", "bicubic")
    )
    drawn = _drawn(settings)
    blurs = [d.blur for d in drawn if isinstance(d.blur, IsotropicBlur)]
    noises = [d.noise for d in drawn if d.noise is not None]
    jpegs = [d.jpeg for d in drawn if d.jpeg is not None]
    assert _fills([blur.sigma for blur in blurs], settings.blur_sigma)
    assert _fills([noise.sigma for noise in noises if noise.sigma is not None], settings.noise_sigma)
    assert {jpeg.quality for jpeg in jpegs} == {40, 41, 42, 43, 44, 45}
    assert len(blurs) / 600 == pytest.approx(settings.blur_probability, abs=0.08)
    assert len(noises) / 600 == pytest.approx(settings.noise_probability, abs=0.08)
    assert len(jpegs) / 600 == pytest.approx(settings.jpeg_probability, abs=0.08)
    assert [jpeg.subsampling for jpeg in jpegs].count("4:2:0") / len(jpegs) == pytest.approx(0.75, abs=0.08)
    assert [d.downsampling for d in drawn].count("bicubic") / 600 == pytest.approx(2 / 3, abs=0.08)


def test_several_kinds_are_drawn_alike():
    settings = DegradationSettings(
        blur_kinds=("isotropic", "anisotropic"),
        blur_probability=1,
        blur_size=11,
        noise_kinds=("gaussian", "poisson", "poisson-gaussian"),
        noise_probability=1,
        jpeg_probability=0,
    )
    drawn = _drawn(settings)
    uneven = [d.blur for d in drawn if isinstance(d.blur, AnisotropicBlur)]
    assert len(uneven) / 600 == pytest.approx(1 / 2, abs=0.08)
    assert _fills([variance for blur in uneven for variance in blur.variances], settings.blur_variance)
    assert _fills([blur.angle for blur in uneven], (0, math.pi))
    assert {d.blur.size for d in drawn if d.blur is not None} == {11}
    noises = [d.noise for d in drawn if d.noise is not None]
    for kind in settings.noise_kinds:
        assert [noise.kind for noise in noises].count(kind) / 600 == pytest.approx(1 / 3, abs=0.08)
    assert _fills([noise.peak for noise in noises if noise.peak is not None], settings.poisson_peak)
    both = [noise.sigma for noise in noises if noise.kind == "poisson-gaussian" and noise.sigma is not None]
    assert _fills(both, settings.poisson_gaussian_sigma)


def test_motion_and_shifts_stay_in_their_ranges():
    settings = DegradationSettings(
        blur_kinds=("motion",), blur_probability=1, motion_length=(1.5, 4), motion_bend=0.5, shift=3
    )
    drawn = _drawn(settings)
    paths = [d.blur for d in drawn if isinstance(d.blur, MotionBlur)]
    assert len(paths) == 600
    assert _fills([path.length for path in paths], (1.5, 4))
    assert _fills([path.angle for path in paths], (0, math.pi))
    assert _fills([path.bend for path in paths], (-0.5, 0.5))
    assert {d.shift for d in drawn} == {(down, across) for down in range(-3, 4) for across in range(-3, 4)}


def test_what_is_common_is_the_same_for_all_pictures_and_the_rest_is_not():
    settings = DegradationSettings(
        blur_kinds=("motion", "anisotropic"), blur_probability=1, shift=9, noise_probability=1, common_seed=1
    )
    drawn = _drawn(settings, 30)
    assert len({(d.blur, d.shift, d.downsampling) for d in drawn}) == 1
    assert len({d.noise for d in drawn}) == 30
    others = [_drawn(settings.model_copy(update={"common_seed": seed}), 1)[0].shift for seed in range(8)]
    assert len(set(others)) > 4


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_is_what_was_done(hr: Pixels, seed: int):
    settings = DegradationSettings(
        blur_kinds=("isotropic", "anisotropic", "motion"),
        blur_probability=1,
        shift=5,
        noise_probability=0,
        jpeg_probability=1,
    )
    picture, drawn = degrade_and_tell(hr, 4, settings, np.random.default_rng(seed))
    assert drawn.blur is not None
    assert drawn.shift is not None
    assert drawn.jpeg is not None
    moved = shift(drawn.blur.apply(hr), *drawn.shift)
    assert np.array_equal(drawn.jpeg.apply(downsample(moved, 4, drawn.downsampling)), picture)
    assert json.loads(json.dumps(drawn.record()))["jpeg"]["quality"] == drawn.jpeg.quality


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
        {"kernels": ["sinc"]},
        {"blur_size": 10},
        {"blur_size": 1},
        {"blur_kinds": []},
        {"noise_kinds": ["pink"]},
        {"poisson_peak": [0, 10]},
        {"poisson_peak": [50, 1e10]},
        {"blur_unevenness": 1.0},
        {"noise_probability": 1.5},
        {"motion_length": [0, 3]},
        {"blur_sigma": [1, 101]},
        {"blur_variance": [1, 1e5]},
        {"motion_length": [1, 2000]},
        {"motion_bend": -1},
        {"shift": -1},
        {"shift": 100_000},
        {"shift": 1.5},
        {"common_seed": -1},
        {"noise_sgima": [0, 1]},
    ],
)
def test_ranges_that_make_no_sense_are_refused_by_name(values: dict[str, Any]):
    with pytest.raises(UsageError, match=next(iter(values))):
        parse(DegradationSettings, values, "recipe")
