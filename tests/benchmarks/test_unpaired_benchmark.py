"""The experiment of CycleSR's Table 1: its recipes, how it goes on, and what it prints."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from upscale_cli.degradation.recipes import RECIPES
from upscale_cli.services.training_recipe import read_settings

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("unpaired")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(5):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


@pytest.fixture
def arguments(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> argparse.Namespace:
    typed = ["unpaired.py", "pictures", "test", "-o", str(tmp_path), "--steps", "80", "--pretrain", "20"]
    typed += ["--set", "generator.scale=2"]
    monkeypatch.setattr(sys, "argv", typed)
    parsed: argparse.Namespace = benchmark.parse()
    return parsed


def test_every_column_of_every_track_is_a_recipe(
    benchmark: ModuleType, arguments: argparse.Namespace, pictures: Path, tmp_path: Path
) -> None:
    for track in benchmark.TRACKS:
        assert track in RECIPES
        (tmp_path / "good").mkdir(exist_ok=True)
        for folder in ("partners", "aligned", "photos"):
            (tmp_path / track / folder).mkdir(parents=True)
        settings: dict[str, Any] = {}
        for column in benchmark.COLUMNS:
            path = tmp_path / track / f"{column}.toml"
            path.write_text(benchmark.to_toml(benchmark.recipe(track, column, arguments)), encoding="utf-8")
            settings[column] = read_settings(path, ())
        paired = settings["SR_paired"].data
        assert (paired.train, paired.lr) == (tmp_path / track / "aligned", tmp_path / track / "partners")
        unpaired = [each for name, each in settings.items() if name != "SR_paired"]
        assert {each.data.train for each in unpaired} == {tmp_path / "good"}
        translating = [settings[name] for name in ("Cycle+SR", "CycleSR", "CycleSRGAN")]
        assert {each.data.lr for each in translating} == {tmp_path / track / "photos"}
        assert len({json.dumps(each.generator.model_dump(mode="json")) for each in settings.values()}) == 1
        assert settings["CycleSR"].generator.scale == 2
        # The second stage of each has as many steps on what the column learns from.
        assert {each.max_steps - each.pretrain_steps for each in translating} == {80}
        assert [each.pretrain_steps for each in translating] == [80, 20, 20]
        assert {settings[name].max_steps for name in ("SR_syn", "SR_paired")} == {80}
        assert settings["CycleSRGAN"].loss.gan
        assert not settings["CycleSR"].loss.gan


def test_the_halves_share_nothing(benchmark: ModuleType, pictures: Path, tmp_path: Path) -> None:
    for _ in range(2):  # a second run finds what the first has made
        benchmark.halve(pictures, tmp_path / "good", tmp_path / "others")
    names = [[path.name for path in sorted((tmp_path / half).iterdir())] for half in ("good", "others")]
    assert names == [["0.png", "1.png"], ["2.png", "3.png", "4.png"]]


def test_good_pictures_are_shifted_as_their_partners_are(benchmark: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / "good" / name)
    made = [{"source": f"elsewhere/{name}", "shift": shift} for name, shift in (("a.png", [-3, 2]), ("b.png", None))]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, made)), encoding="utf-8")
    for _ in range(2):  # a second run finds what the first has made
        benchmark.align(tmp_path / "good", tmp_path, tmp_path / "aligned")
    moved, kept = (np.asarray(Image.open(tmp_path / "aligned" / name)) for name in ("a.png", "b.png"))
    assert np.array_equal(kept, pixels)
    assert np.array_equal(moved[:-3, 2:], pixels[3:, :-2])


def test_a_run_is_begun_gone_on_with_and_left_alone(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {"name": "a", "max_steps": 8, "course": "joint"}
    typed: list[list[str]] = []

    def trains(*words: object) -> str:
        typed.append([str(word) for word in words])
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / "step-00000004.pt").touch()
        save_file({"x": torch.zeros(1)}, tmp_path / "a" / "a.safetensors", {"steps": str(4 * len(typed))})
        return ""

    monkeypatch.setattr(benchmark, "upscale", trains)
    with pytest.raises(SystemExit, match="step 4 of 8; the same command goes on"):
        benchmark.train(tmp_path, tables, "cpu", 5.0)
    for _ in range(2):
        assert benchmark.train(tmp_path, tables, "cpu", None) == tmp_path / "a" / "a.safetensors"
    common = ["train", str(tmp_path / "a.toml"), "-o", str(tmp_path / "a"), "--device", "cpu"]
    shown = "--save-translations"
    assert typed == [[*common, "--max-time", "5s", shown], [*common, "--resume", shown]]
    with pytest.raises(SystemExit, match="begun with other settings"):
        benchmark.train(tmp_path, {**tables, "max_steps": 16}, "cpu", None)


def test_a_command_that_fails_ends_the_benchmark_with_its_code(benchmark: ModuleType) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.upscale("degrade", "--no-such-option")
    assert ended.value.code == 2


def test_a_row_has_bicubic_once(benchmark: ModuleType) -> None:
    def means(psnr: float) -> dict[str, dict[str, float]]:
        return {"bicubic": {"psnr": 20.0, "ssim": 0.5}, "model": {"psnr": psnr, "ssim": 0.25}}

    expected = "| wild | 20.00 / 0.5000 | 21.25 / 0.2500 | 22.00 / 0.2500 |"
    assert benchmark.row("wild", [means(21.25), means(22)]) == expected
