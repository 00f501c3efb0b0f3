"""The pictures of the docs are of what they are said to be."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("pictures")


def test_parts_lie_in_their_photographs(benchmark: ModuleType) -> None:
    for part in (*benchmark.RUN, *benchmark.FUSION, *benchmark.UNPAIRED):
        original = part.original()
        assert all(side % benchmark.SCALE == 0 for side in original.shape[:2])
        assert part.shown(original).shape == (benchmark.SIDE, benchmark.SIDE, 3)


def test_with_less_light_a_picture_is_darker(benchmark: ModuleType) -> None:
    day = benchmark.Part("coffee", 0, 0)
    night = day._replace(light=0.5)
    assert night.original().mean() == pytest.approx(day.original().mean() / 2, abs=0.5)


def test_rows_are_bicubic_the_models_and_the_photograph(benchmark: ModuleType, tmp_path: Path) -> None:
    part = benchmark.Part("rocket", 0, 0)
    (row,) = benchmark.by_models([part], ["rwsr-psnr"], tmp_path)
    bicubic, made, truth = (pixels.astype(float) for pixels in row)
    assert (truth == part.shown(part.original())).all()
    assert 0 < abs(made - truth).mean() < abs(bicubic - truth).mean()
