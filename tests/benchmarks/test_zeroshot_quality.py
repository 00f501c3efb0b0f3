"""The table of what `upscale zeroshot` gains: means, gains, and which kernel is like which."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from upscale_cli.degradation.operations import anisotropic_kernel


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("zeroshot_quality")


def test_means_and_gains(benchmark: ModuleType) -> None:
    def column(*psnr: float) -> dict[str, object]:
        return {name: benchmark.Figures((db, 0.5), (20.0, 0.25), 0.75) for name, db in zip("ab", psnr, strict=True)}

    lines = benchmark.table({"start": column(22, 24), "quick": column(23, 26), "true kernel": column(24, 30)}).split(
        "\n"
    )
    assert lines[0] == "| PSNR / SSIM | bicubic | start | quick | true kernel | kernel, quick |"
    assert lines[3] == "| b | 20.00 / 0.2500 | 24.00 / 0.5000 | 26.00 / 0.5000 | 30.00 / 0.5000 | 0.750 |"
    assert lines[4].startswith("| mean | 20.00 / 0.2500 | 23.00 / 0.5000 | 24.50 / 0.5000 | 27.00")
    assert lines[5].startswith("| above bicubic | +0.00 / +0.0000 | +3.00 / +0.2500 | +4.50 / +0.2500 | +7.00")
    assert len({line.count("|") for line in lines}) == 1


def test_kernels_are_alike_wherever_they_lie_and_of_whatever_sum(benchmark: ModuleType) -> None:
    kernel = anisotropic_kernel((4.0, 1.0), 0.3, 11, 0.25, 1)
    other = anisotropic_kernel((4.0, 1.0), 0.3 + np.pi / 2, 11, 0.25, 1)
    assert benchmark.likeness(2 * np.pad(kernel, 1), kernel) == pytest.approx(1, abs=1e-4)
    assert benchmark.likeness(other, kernel) < 0.8


def test_pictures_are_cut_in_their_middle_and_their_kernels_kept(benchmark: ModuleType, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert benchmark.prepare([tmp_path / "a.png"], tmp_path / "kept", 40) == ["a"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "kept" / "hr" / "a.png")), pixels[15:55, 25:65])
    assert Image.open(tmp_path / "kept" / "lr" / "a.png").size == (20, 20)
    assert np.load(tmp_path / "kept" / "kernels" / "a.npy").sum() == pytest.approx(1)


def test_the_sheet_has_bicubic_first_and_the_truth_last(benchmark: ModuleType, tmp_path: Path) -> None:
    for place, level, side in (("hr", 250, 20), ("lr", 10, 10), ("true-kernel", 100, 20)):
        (tmp_path / place).mkdir()
        Image.new("RGB", (side, side), (level,) * 3).save(tmp_path / place / "a.png")
    sheet = benchmark.sheet(["start", "true kernel"], tmp_path, ["a"])
    assert sheet.shape == (24, 72, 3)
    assert sheet[10, 10::24, 0].tolist() == [10, 100, 250]
