"""`upscale run --model auto`: a folder in which each picture has its own model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import chelsea

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import downsample
from upscale_cli.services.provenance import read_provenance
from upscale_cli.weights.part import hash_file

Run = Callable[..., Any]


def entry(name: str, file: Path, rule: str, partner: str = "") -> str:
    lines = [f"[models.{name}]", 'method = "srrescycgan"', "scale = 4", 'urls = ["https://a.example/m"]']
    lines += [f'sha256 = "{hash_file(file)[0]}"', *([f'partner = "{partner}"'] if partner else [])]
    lines += ["options = { features = 4, blocks = 1, noise_estimate = 'robust' }", f"auto = {{ {rule} }}", ""]
    return "\n".join(lines)


@pytest.fixture
def two(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_model: Path, second_model: Path) -> None:
    """`noisy`, whose partner is `quiet`, and `quiet`; both are in the cache.  A picture for each in in/."""
    text = entry("noisy", small_model, "noise = [6, 255]", "quiet") + entry("quiet", second_model, "")
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "cache").mkdir()
    for name, file in (("noisy", small_model), ("quiet", second_model)):
        (tmp_path / "cache" / f"{name}.weights").write_bytes(file.read_bytes())
    monkeypatch.setenv("UPSCALE_WEIGHTS", str(tmp_path / "mine.toml"))
    (folder / "in").mkdir()
    photo = downsample(chelsea()[:160, 100:260], 4, "bicubic")
    Image.fromarray(photo).save(folder / "in" / "clean.png")
    Image.fromarray(add_sensor_noise(photo, 15, np.random.default_rng(1))).save(folder / "in" / "noise.png")


def test_each_picture_has_its_model(upscale: Run, two: None, folder: Path) -> None:
    ended = upscale("run", "in/", "-o", "out/", "-v", "--json")
    assert ended.code == 0, ended
    reports = {Path(report["input"]).stem: report for report in map(json.loads, ended.out.splitlines())}
    assert {stem: report["model"] for stem, report in reports.items()} == {"clean": "quiet", "noise": "noisy"}
    assert reports["noise"]["auto"]["noise"] == pytest.approx(15, rel=0.2)
    assert reports["noise"]["auto"]["jpeg"] is None
    assert reports["noise"]["fusion"]["partner"] == "quiet"
    assert "fusion" not in reports["clean"]
    assert "no JPEG -> noisy" in ended.err
    for stem, model in (("clean", "quiet"), ("noise", "noisy")):
        named = upscale("run", f"in/{stem}.png", "-o", "named/", "--model", model)
        assert named.code == 0
        assert np.array_equal(Image.open(f"out/{stem}_x4_auto.png"), Image.open(f"named/{stem}_x4_{model}.png"))
        about = read_provenance(folder / "out" / f"{stem}_x4_auto.png")
        assert about["Model"] == model
        assert about["Chosen"].endswith(f"-> {model}")


def test_what_jpeg_has_pressed_gets_the_model_for_it(upscale: Run, folder: Path) -> None:
    photo = Image.fromarray(downsample(chelsea()[:160, 100:260], 4, "bicubic"))
    for quality in (30, 90, 91, 95):
        photo.save(f"{quality}.jpg", quality=quality)
    Image.open("30.jpg").save("once30.png")
    photo.save("never.png")
    ended = upscale("run", *sorted(map(str, Path().glob("*.*g"))), "-o", "out/", "--json")
    assert ended.code == 0, ended
    chosen = {Path(report["input"]).name: report["model"] for report in map(json.loads, ended.out.splitlines())}
    pressed, others = ("30.jpg", "90.jpg", "once30.png"), ("91.jpg", "95.jpg", "never.png")
    assert chosen == dict.fromkeys(pressed, "rwsr-jpeg") | dict.fromkeys(others, "rwsr")


def test_names_are_known_before_so_that_a_second_run_has_nothing_to_do(upscale: Run, two: None) -> None:
    assert upscale("run", "in/").code == 0
    again = upscale("run", "in/", "--json")
    assert (again.code, [json.loads(line)["status"] for line in again.out.splitlines()]) == (0, ["skipped"] * 2)
    assert "other settings" not in again.err
    assert upscale("run", "in/", "--model", "quiet", "--dry-run").out.count("->") == 2, "its own outputs are left out"


def test_other_fusion_settings_of_an_output_that_is_there_are_said(upscale: Run, two: None) -> None:
    assert upscale("run", "in/noise.png", "-o", "out/").code == 0
    for options in ([], ["--fuse"]):
        assert "other settings" not in upscale("run", "in/noise.png", "-o", "out/", *options).err
    for options in (["--no-fuse"], ["--fuse-gamma", "20"]):
        assert "other settings" in upscale("run", "in/noise.png", "-o", "out/", *options).err
    assert upscale("run", "in/noise.png", "-o", "out/", "--no-fuse", "--overwrite").code == 0
    assert "other settings" in upscale("run", "in/noise.png", "-o", "out/").err


def test_a_dry_run_says_what_would_be_chosen(upscale: Run, two: None, folder: Path) -> None:
    ended = upscale("run", "in/", "--dry-run")
    assert ended.code == 0
    assert "-> quiet" in ended.out
    assert "no JPEG -> noisy, fused 0.6 / 0.4 with quiet" in ended.out
    assert sorted(path.name for path in (folder / "in").iterdir()) == ["clean.png", "noise.png"]


def test_who_asks_for_fusion_gets_models_that_fuse(upscale: Run, two: None) -> None:
    ended = upscale("run", "in/", "-o", "out/", "--fuse", "--fuse-gamma", "256", "--json")
    assert ended.code == 0
    clean, noise = map(json.loads, ended.out.splitlines())
    assert [clean["model"], noise["model"]] == ["rwsr", "noisy"]
    assert [clean["fusion"]["fused"], noise["fusion"]["fused"]] == [1.0, 1.0]


def test_a_device_that_is_not_there_is_refused_before_the_first_picture(upscale: Run, two: None) -> None:
    for device, words in (("tpu", "unknown device 'tpu'"), ("cuda:99", "cuda:99")):
        for more in ([], ["--dry-run"]):
            assert upscale("run", "in/", "-o", "out/", "--device", device, *more).complained(2, words)
    assert not Path("out").exists()
    assert upscale("run", "in/", "-o", "out/").code == 0
    assert upscale("run", "in/", "-o", "out/", "--device", "tpu").complained(2, "unknown device 'tpu'")


def test_a_damaged_model_is_neither_used_nor_fetched(upscale: Run, two: None, tmp_path: Path) -> None:
    (tmp_path / "cache" / "quiet.weights").write_bytes(b"no weights")
    ended = upscale("run", "in/clean.png", "-o", "out/")
    assert ended.code == 4
    assert "quiet" in ended.err
    assert not list(Path("out").glob("*.png"))


def test_measured_as_it_is_run(upscale: Run, two: None) -> None:
    ended = upscale("evaluate", "--hr", "in/", "--model", "auto", "--degrade", "noise:10", "--json")
    assert ended.code == 0, ended
    assert "-> noisy" in ended.out + ended.err
    assert '"auto"' in ended.out
