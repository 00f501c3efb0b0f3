"""`upscale run` with two networks: options, what is said, the gate's file, and what cannot be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_processes as processes
from PIL import Image
from safetensors.torch import load_file, save_file

from upscale_cli.services.provenance import read_provenance
from upscale_cli.weights.part import hash_file

Run = Callable[..., Any]


def draw(path: Path, top: int, side: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, top + 1, (side, side, 3), np.uint8)).save(path)
    return path


def entry(name: str, file: Path, partner: str = "") -> str:
    """A model of one's own as a user's catalogue has it; it lies in the cache."""
    options = "{ features = 4, blocks = 1, noise_estimate = 'robust' }"
    lines = ['method = "srrescycgan"', "scale = 4", f'sha256 = "{hash_file(file)[0]}"', f"options = {options}"]
    lines += ['urls = ["https://a.example/m"]', *([f'partner = "{partner}"'] if partner else [])]
    return "\n".join([f"[models.{name}]", *lines, ""])


@pytest.fixture
def pair(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_model: Path, second_model: Path) -> None:
    """A catalogue with `first`, whose partner is `second`; both are in the cache."""
    (tmp_path / "mine.toml").write_text(entry("first", small_model, "second") + entry("second", second_model))
    (tmp_path / "cache").mkdir()
    for name, file in (("first", small_model), ("second", second_model)):
        (tmp_path / "cache" / f"{name}.weights").write_bytes(file.read_bytes())
    monkeypatch.setenv("UPSCALE_WEIGHTS", str(tmp_path / "mine.toml"))


@pytest.fixture
def fused(upscale: Run, pair: None) -> Run:
    """Runs `upscale run --model first ARGUMENTS`."""
    return lambda *arguments: upscale("run", "--model", "first", *arguments)


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_dark_pictures_are_fused_by_default(fused: Run, upscale: Run, folder: Path) -> None:
    draw(folder / "dark.png", 60)
    draw(folder / "bright.png", 255)
    ended = fused("dark.png", "bright.png", "-o", "out", "-v", "--json")
    assert ended.code == 0, ended
    dark, bright = (json.loads(line)["fusion"] for line in ended.out.splitlines())
    assert (dark["partner"], dark["fused"], dark["alpha"], dark["gamma"]) == ("second", 1.0, 0.6, 64.0)
    assert dark["y_med"] < 64 <= bright["y_med"]
    assert bright["fused"] == 0
    assert f"  dark: Y_med {dark['y_med']:.2f} < 64, fused 0.6 / 0.4 with second" in ended.err
    assert f"  Y_med {bright['y_med']:.2f} >= 64, not fused with second" in ended.err
    for name in ("first", "second"):
        alone = upscale("run", "--model", name, "--no-fuse", "dark.png", "bright.png", "-o", f"{name}/", "--json")
        assert "fusion" not in alone.out
    first, second = pixels("first/dark_x4_first.png"), pixels("second/dark_x4_second.png")
    assert np.abs(pixels("out/dark_x4_first.png") - (0.6 * first + 0.4 * second)).max() <= 1
    assert np.abs(pixels("out/dark_x4_first.png") - first).max() > 2
    bright_files = [Path(f"{place}/bright_x4_first.png") for place in ("out", "first")]
    assert np.array_equal(*(pixels(str(path)) for path in bright_files))


def test_what_cannot_be_seen_makes_no_picture_dark(fused: Run, folder: Path) -> None:
    bright = np.full((40, 40, 4), (250, 220, 90, 0), np.uint8)
    bright[10:30, 10:30] = (10, 10, 10, 255)  # a dark rim, whose colour fills what is hidden
    bright[11:29, 11:29] = (250, 220, 90, 255)
    Image.fromarray(bright).save(folder / "cut-out.png")
    bright[11:29, 11:29] = (10, 10, 10, 255)
    Image.fromarray(bright).save(folder / "shadow.png")
    ended = fused("cut-out.png", "shadow.png", "-o", "out", "--json")
    seen = [json.loads(line)["fusion"] for line in ended.out.splitlines()]
    assert [report["fused"] for report in seen] == [0, 1]


def test_a_pair_of_ones_own(upscale: Run, folder: Path, small_model: Path, second_model: Path) -> None:
    draw(folder / "a.png", 255)
    ended = upscale(
        "run", "a.png", "-n", small_model, "--fuse-with", second_model, "--fuse-gamma", "256", "--fuse-alpha", "0",
        "--fuse-beta", "1", "-o", "b.png",
    )  # fmt: skip
    assert ended.code == 0, ended
    upscale("run", "a.png", "-n", second_model, "-o", "c.png")
    assert np.abs(pixels("b.png") - pixels("c.png")).max() <= 1
    made = read_provenance(Path("b.png"))
    assert made["Fusion"] == "0 / 1 below 256"
    assert made["Partner-SHA256"] == hash_file(second_model)[0]
    assert made["Fused"].endswith("< 256, fused 0 / 1 with second")
    assert read_provenance(Path("c.png"))["Fusion"] == "off"


def test_other_settings_are_noticed(fused: Run, folder: Path) -> None:
    draw(folder / "a.png", 60)
    assert fused("a.png").code == 0
    assert "exists, skipped\n" in fused("a.png").err
    for other in (["--no-fuse"], ["--fuse-gamma", "50"], ["--fuse-local"], ["--fuse-with", "srrescgan"]):
        ended = fused("a.png", *other)
        if "srrescgan" in other:
            assert ended.complained(2, "first and srrescgan cannot be fused: options"), ended
        else:
            assert "a_x4_first.png exists, skipped: it was made with other settings" in ended.err


def test_a_change_of_brightness_is_said_once(fused: Run, folder: Path) -> None:
    draw(folder / "a.png", 60)
    draw(folder / "b.png", 60)
    ended = fused("a.png", "b.png", "--fuse-beta", "0.5")
    assert ended.code == 0
    assert ended.err.count("becomes 10.00% brighter") == 1
    assert "brighter" not in fused("a.png", "b.png", "--overwrite").err


def test_the_plan_speaks_of_both(fused: Run, folder: Path) -> None:
    draw(folder / "a.png", 60)
    ended = fused("a.png", "--dry-run")
    assert ended.out.rstrip().endswith("MiB, fused 0.6 / 0.4 with second if Y_med is below 64")
    assert "fusion" in json.loads(fused("a.png", "--dry-run", "--json").out)
    plain = fused("a.png", "--dry-run", "--json", "--no-fuse")
    assert "fusion" not in json.loads(plain.out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fuse-alpha", "-1"], ["--fuse-alpha -1: is not a number from 0 up"]),
        (["--fuse-beta", "nan"], ["--fuse-beta nan"]),
        (["--fuse-gamma", "inf"], ["--fuse-gamma inf"]),
        (["--fuse-gamma", "dark"], ["--fuse-gamma", "valid number"]),
        (["--no-fuse", "--fuse-beta", "0.4"], ["--fuse-beta and --no-fuse contradict each other"]),
        (["--no-fuse", "--save-gate", "g.png"], ["--save-gate and --no-fuse"]),
        (["--fuse-with", "secnd"], ["unknown model 'secnd'", "did you mean second"]),
        (["--fuse-with", "gone.pth"], ["gone.pth: there is no such file"]),
        (["--fuse-with", "vgg19"], ["vgg19: is a feature network"]),
        (["--save-gate", "g.jpg"], ["--save-gate g.jpg: the gate is a PNG", "name a .png"]),
        (["--save-gate", "-"], ["--save-gate -: the gate is a PNG"]),
        (["--save-gate", "{stem}"], ["--save-gate {stem}: the gate is a PNG"]),
        (["--save-gate", "{name}.png"], ["--save-gate {name}.png: is not a template", "{stem}"]),
        (["--save-gate", "a.png"], ["a.png is an input", "choose another --save-gate"]),
        (["--save-gate", "a.png/g.png"], ["a.png is not a folder"]),
        (["--save-gate", "a_x4_first.png"], ["a_x4_first.png would be both a picture and its gate"]),
    ],
)
def test_bad_requests(fused: Run, folder: Path, arguments: list[str], words: list[str]) -> None:
    draw(folder / "a.png", 60)
    ended = fused("a.png", *arguments)
    assert ended.complained(2, *words), ended
    assert [path.name for path in folder.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "option",
    [["--fuse"], ["--fuse-alpha", "0.6"], ["--fuse-gamma", "64"], ["--fuse-local"], ["--save-gate", "g.png"]],
)
def test_a_model_without_a_pair(fused: Run, upscale: Run, folder: Path, option: list[str]) -> None:
    draw(folder / "a.png", 60)
    ended = upscale("run", "a.png", "-n", "second", *option)
    assert ended.complained(
        2, f"{option[0]}: second has no second network", "name one with --fuse-with, or choose rwsr or first"
    )
    assert [path.name for path in folder.iterdir()] == ["a.png"]


def test_networks_that_are_no_pair(fused: Run, folder: Path, small_model: Path, second_model: Path) -> None:
    draw(folder / "a.png", 60)
    state = load_file(second_model)
    options = '{"features": 4, "blocks": 1, "noise_estimate": "robust"}'
    about = {"method": "srrescycgan", "options": options}
    save_file(state, folder / "x2.safetensors", about | {"scale": "2"})
    save_file(state, folder / "wide.safetensors", {"method": "srrescycgan", "options": '{"features": 8}'})
    save_file(state, folder / "other.safetensors", {"method": "rwsr", "scale": "4", "options": options})
    save_file(dict(list(state.items())[1:]), folder / "missing.safetensors", about)
    for name, words in (
        ("x2", "first and x2 cannot be fused: scale 4 and 2 (a pair has one method, one scale and the same options)"),
        ("wide", "first and wide cannot be fused: options {'features': 4, 'blocks': 1, "),
        ("other", "first and other cannot be fused: method srrescycgan and rwsr"),
    ):
        assert fused("a.png", "--fuse-with", f"{name}.safetensors").complained(2, words)
    assert fused("a.png", "--fuse-with", "missing.safetensors").complained(4, "missing.safetensors", "1 missing")
    assert fused("a.png", "--fuse-with", "missing.safetensors", "--dry-run").complained(4, "1 missing")
    assert not list(folder.glob("a_x4*"))


def test_a_partner_that_is_not_here(fused: Run, folder: Path, tmp_path: Path) -> None:
    draw(folder / "a.png", 60)
    (tmp_path / "cache" / "second.weights").unlink()
    ended = fused("a.png", "--offline")
    assert ended.complained(4, "second: is not on this machine", "offline"), ended
    assert fused("a.png", "--no-fuse").code == 0
    assert fused("a.png", "--dry-run", "--overwrite").code == 0


def test_gates_of_many_pictures(fused: Run, folder: Path) -> None:
    for name, top in (("in/a.png", 60), ("in/b.png", 255), ("in/below/a.png", 60)):
        draw(folder / name, top)
    several = fused("in", "-r", "-o", "out", "--save-gate", "g.png")
    assert several.complained(2, "the gates of 3 pictures cannot go into one file", "{stem}_gate.png")
    twice = fused("in", "-r", "-o", "out", "--save-gate", "{stem}_gate.png")
    assert twice.complained(2, "would both become a_gate.png")
    assert fused("in", "-r", "-o", "out", "--save-gate", "gates/", "--json").code == 0
    levels = {
        path.relative_to(folder).as_posix(): set(np.unique(pixels(str(path)))) for path in folder.rglob("*_gate.png")
    }
    assert levels == {"gates/a_gate.png": {255}, "gates/b_gate.png": {0}, "gates/below/a_gate.png": {255}}
    assert Image.open("gates/a_gate.png").size == (80, 80)
    assert Image.open("gates/a_gate.png").mode == "L"


def test_gates_beside_their_pictures_are_not_enlarged(fused: Run, folder: Path) -> None:
    draw(folder / "a.png", 60)
    for more in ([], [], ["--overwrite"]):
        assert fused(".", "--save-gate", "{stem}_gate.png", *more).code == 0
        assert sorted(path.name for path in folder.iterdir()) == ["a.png", "a_gate.png", "a_x4_first.png"]
    (folder / "a_x4_first.png").unlink()
    Image.new("L", (9, 9), 7).save("mine.png")
    ended = fused("a.png", "--save-gate", "mine.png")
    assert "note: mine.png exists and is left alone" in ended.err
    assert Image.open("mine.png").size == (9, 9)
    assert fused("a.png", "--save-gate", "mine.png", "--overwrite").code == 0
    assert Image.open("mine.png").size == (80, 80)


def test_a_gate_that_a_skipped_picture_would_have_is_missed_aloud(fused: Run, folder: Path) -> None:
    draw(folder / "a.png", 60)
    assert fused("a.png", "-o", "b.png").code == 0
    for _ in range(2):
        skipped = fused("a.png", "-o", "b.png", "--save-gate", "g.png", "--json")
        assert json.loads(skipped.out)["notes"] == ["g.png is not written (--overwrite makes both)"]
        assert "b.png exists, skipped: g.png is not written" in skipped.err
        assert not (folder / "g.png").exists()
    assert fused("a.png", "-o", "b.png", "--save-gate", "g.png", "--overwrite").code == 0
    assert "notes" not in json.loads(fused("a.png", "-o", "b.png", "--save-gate", "g.png", "--json").out)


def test_the_gate_of_a_picture_that_goes_to_a_pipe(pair: None, folder: Path) -> None:
    draw(folder / "a.png", 60)
    process = processes.start(
        ["run", "a.png", "-n", "first", "-o", "-", "--save-gate", "g.png"], folder, stdout="/dev/null"
    )
    assert processes.end(process) == 0, processes.log(folder)
    assert (pixels(str(folder / "g.png")) == 255).all()


def test_killed_and_gone_on_with(pair: None, folder: Path) -> None:
    """Fused pictures and their gates, after kills as without one."""
    for number in range(6):
        draw(folder / "in" / f"{number}.png", 60, side=40)
    command = ["run", "in", "-n", "first", "--tile", "16", "--save-gate"]
    assert processes.end(processes.start([*command, "gates/", "-o", "whole"], folder)) == 0, processes.log(folder)
    resumed = [*command, "more/", "-o", "out"]
    for goal in (1, 3):
        process = processes.start(resumed, folder)
        processes.wait_until(lambda goal=goal: len(list(folder.glob("out/*.png"))) >= goal)
        process.kill()
        processes.end(process)
        assert all(map(processes.whole, [*folder.glob("out/*.png"), *folder.glob("more/*.png")]))
    assert processes.end(processes.start(resumed, folder)) == 0, processes.log(folder)
    for kept, again in (("whole", "out"), ("gates", "more")):
        names = sorted(path.name for path in (folder / kept).iterdir())
        assert names == sorted(path.name for path in (folder / again).iterdir())
        assert len(names) == 6
        for name in names:
            assert (pixels(str(folder / kept / name)) == pixels(str(folder / again / name))).all()


def test_models_show_the_pair(upscale: Run, pair: None) -> None:
    assert "partner      second" in upscale("models", "info", "first").out
    assert json.loads(upscale("models", "info", "first", "--json").out)["partner"] == "second"
    rows = {line.split("\t")[0]: line for line in upscale("models", "list").out.splitlines()}
    assert rows["first"].endswith("; with second")
    assert "; with" not in rows["second"]


def test_a_model_is_pulled_with_its_partner(upscale: Run, pair: None, tmp_path: Path) -> None:
    ended = upscale("models", "pull", "first")
    assert [line.split(":")[0] for line in ended.out.splitlines()] == ["first", "second"]
    (tmp_path / "cache" / "second.weights").unlink()
    assert upscale("models", "pull", "first").code == 4


def test_evaluate_measures_what_run_writes(fused: Run, upscale: Run, folder: Path) -> None:
    draw(folder / "hr" / "a.png", 60, side=48)
    figures = {}
    for how in ([], ["--no-fuse"], ["--fuse"]):
        ended = upscale("evaluate", "--hr", "hr", "-n", "first", "--json", *how)
        assert ended.code == 0, ended
        record = json.loads(ended.out.splitlines()[0])
        figures[" ".join(how)] = record["model"]["psnr"]
        assert any("fused 0.6 / 0.4 with second" in note for note in record.get("notes", [])) == (
            "--no-fuse" not in how
        )
    assert figures[""] == figures["--fuse"] != figures["--no-fuse"]
    assert upscale("evaluate", "--hr", "hr", "-n", "second", "--fuse").complained(2, "second has no second network")
