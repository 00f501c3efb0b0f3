"""Figure 3: the pictures and the figures are of what they are said to be."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("translations")


def flat(level: int) -> np.ndarray:
    return np.full((12, 16, 3), level, np.uint8)


def test_details_are_what_a_mean_of_nine_pixels_takes_away(benchmark: ModuleType) -> None:
    assert benchmark.details(flat(80)) == 0
    single = flat(90)
    single[5, 5] = 180  # 80 are left there, and 10 are missing from each of its eight neighbours
    mean = (80 - 8 * 10) / (12 * 16)
    assert benchmark.details(single) == pytest.approx(np.sqrt((80**2 + 8 * 10**2) / (12 * 16) - mean**2))


def test_each_run_is_looked_at_before_and_after_both_stages_learn_jointly(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    levels = {"bicubic": 10, "apart": 20, "1e2": 30, "1e3": 40, "1e4": 50}

    def learned(weight: str, folder: Path, seen: Path) -> Path:
        assert [path.name for path in sorted(seen.iterdir())] == ["a.png", "b.png"]
        translations = folder / weight
        for step, level in ((600, 20), (1200, levels[weight])):
            (translations / f"step-{step:08d}").mkdir(parents=True)
            for number in range(2):
                sides = [flat(10), flat(level + number), flat(200)]
                Image.fromarray(np.hstack(sides)).save(translations / f"step-{step:08d}" / f"{number}.png")
        return translations

    monkeypatch.setattr(benchmark, "learned", learned)
    photographs = {"b": np.full((48, 64, 3), 60, np.uint8), "a": np.full((48, 64, 3), 50, np.uint8)}
    shown = benchmark.looks(photographs, tmp_path)
    assert list(shown) == [*levels, "true"]
    for name, level in levels.items():
        offset = 0 if name == "bicubic" else 1
        assert [picture.mean() for picture in shown[name]] == [level, level + offset]
    assert [picture.mean() for picture in shown["true"]] == [50, 60]
    near = 10 * np.log10(255**2) - (20 * np.log10(20) + 20 * np.log10(29)) / 2
    assert f"| 1e2 | {near:.2f} | 0.0 |" in benchmark.table(shown)
    assert benchmark.table(shown).endswith("| true |  | 0.0 |")
