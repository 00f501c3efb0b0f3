"""`upscale zeroshot`: what it writes, says and refuses. A few steps stand for all; how well it learns is not seen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from upscale_cli.errors import ResourceError
from upscale_cli.services.learning_report import passes_for
from upscale_cli.services.upscale_worker import Worker

Upscale = Callable[..., Any]
STEPS = ("--steps", "2")


def _pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    waves = 127 + 60 * np.sin(rows / 3) + 60 * np.cos(columns / 4)
    noise = np.random.default_rng(0).normal(0, 5, (height, width, channels))
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def picture(folder: Path) -> Path:
    """a.png, 72 x 64."""
    Image.fromarray(_pixels(64, 72)).save(folder / "a.png")
    return folder / "a.png"


def test_a_picture_twice_as_large_with_a_verdict(upscale: Upscale, picture: Path) -> None:
    ended = upscale("zeroshot", "a.png", *STEPS)
    assert ended.code == 0, ended
    with Image.open("a_x2_dualsr.png") as image:
        assert image.size == (144, 128)
        assert image.mode == "RGB"
        assert image.info["Learned"] == "quick, 2 of 2 steps, seed 0"
        assert len(image.info["Model-SHA256"]) == 64
    assert "kernel" in ended.err
    assert "pixels wide" in ended.err
    assert "dB near the picture" in ended.err
    assert not list((picture.parent.parent / "cache" / "zeroshot").iterdir())


def test_two_pictures_without_a_difference_are_no_infinity_of_json(upscale: Upscale, folder: Path) -> None:
    for name, side in (("flat.png", 64), ("truth.png", 128)):
        Image.new("RGB", (side, side), (90, 90, 90)).save(folder / name)
    ended = upscale("zeroshot", "flat.png", *STEPS, "--reference", "truth.png", "--json")
    record = json.loads(ended.out, parse_constant=pytest.fail)
    assert record["learned"]["bicubic_psnr"] is None


def test_the_paper_begins_with_nothing_and_the_default_with_a_network(upscale: Upscale, picture: Path) -> None:
    records = {}
    for recipe in ("paper", "quick"):
        ended = upscale("zeroshot", "a.png", "-o", f"{recipe}.png", "--recipe", recipe, *STEPS, "--json")
        records[recipe] = json.loads(ended.out)["learned"]
        assert records[recipe]["settings"] == f"{recipe}, 2 of 2 steps, seed 0"
    # After two steps one of them is a picture already.
    assert records["quick"]["consistency"] > 25 > records["paper"]["consistency"]


def test_the_same_seed_gives_the_same_bytes(upscale: Upscale, picture: Path) -> None:
    for name, seed in (("b.png", 5), ("c.png", 5), ("d.png", 6)):
        assert upscale("zeroshot", "a.png", "-o", name, "--seed", seed, *STEPS).code == 0
    first, again, other = (Path(name).read_bytes() for name in ("b.png", "c.png", "d.png"))
    assert first == again
    assert first != other


def test_a_run_that_went_on_is_the_run_that_did_not_stop(upscale: Upscale, picture: Path) -> None:
    assert upscale("zeroshot", "a.png", "-o", "whole.png", "--steps", "4").code == 0
    stopped = upscale("zeroshot", "a.png", "-o", "b.png", "--steps", "4", "--max-time", "0.001s", "--json")
    assert stopped.code == 0, stopped
    record = json.loads(stopped.out)
    assert record["learned"]["steps"] == 1
    assert record["notes"] == ["out of time after 1 of 4 steps (--resume --overwrite goes on)"]
    assert Path("b.png").read_bytes() != Path("whole.png").read_bytes()
    skipped = upscale("zeroshot", "a.png", "-o", "b.png", "--steps", "4", "--resume")
    assert "exists, skipped: it was learned with other settings: quick, 1 of 4 steps" in skipped.err
    went_on = upscale("zeroshot", "a.png", "-o", "b.png", "--steps", "4", "--resume", "--overwrite")
    assert "goes on after 1 of 4 steps" in went_on.err
    with Image.open("b.png") as ours, Image.open("whole.png") as whole:
        assert np.array_equal(np.array(ours), np.array(whole))
    again = upscale("zeroshot", "a.png", "-o", "c.png", *STEPS, "--resume")
    assert "nothing to go on from" in again.err


@pytest.mark.parametrize(
    "mode, depth", [("L", np.uint8), ("RGBA", np.uint8), ("I;16", np.uint16)], ids=["grey", "alpha", "16-bit"]
)
def test_every_kind_of_picture(upscale: Upscale, folder: Path, mode: str, depth: type) -> None:
    channels = {"L": 1, "RGBA": 4, "I;16": 1}[mode]
    pixels = _pixels(64, 66, channels).astype(depth) * (257 if depth is np.uint16 else 1)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save("b.png")
    ended = upscale("zeroshot", "b.png", *STEPS)
    assert ended.code == 0, ended
    with Image.open("b_x2_dualsr.png") as image:
        assert image.size == (132, 128)
        assert image.mode == mode


def test_what_was_learned_stays_until_the_picture_is_written(
    upscale: Upscale, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ResourceError("disk full", "make room")

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "write", full)
        assert upscale("zeroshot", "a.png", *STEPS).code == 5
    ended = upscale("zeroshot", "a.png", *STEPS, "--resume")
    assert ended.code == 0, ended
    assert "goes on after 2 of 2 steps" in ended.err
    assert not list((picture.parent.parent / "cache" / "zeroshot").iterdir())


def test_the_picture_is_upright(upscale: Upscale, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_pixels(64, 80)).save("b.jpg", exif=exif)
    assert upscale("zeroshot", "b.jpg", *STEPS, "-o", "c.png").code == 0
    with Image.open("c.png") as image:
        assert image.size == (128, 160)


def test_a_folder_with_a_bad_picture_and_a_small_one(upscale: Upscale, folder: Path) -> None:
    (folder / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(_pixels(64, 64)).save(folder / "in" / name)
    Image.fromarray(_pixels(40, 90)).save(folder / "in" / "small.png")
    (folder / "in" / "broken.png").write_bytes(b"no picture")
    ended = upscale("zeroshot", "in", "-o", "out/", *STEPS, "--json", "--save-kernel", "kernels/")
    assert ended.code == 3, ended
    records = {Path(record["input"]).name: record for record in map(json.loads, ended.out.splitlines())}
    assert [records[name]["status"] for name in ("a.png", "b.png", "small.png", "broken.png")] == [
        "done", "done", "failed", "failed",
    ]  # fmt: skip
    assert "90 x 40 pixels, a network learns from no less than 64" in records["small.png"]["error"]
    assert {path.name for path in (folder / "out").iterdir()} == {"a_x2_dualsr.png", "b_x2_dualsr.png"}
    assert {path.name for path in (folder / "kernels").iterdir()} == {"a_kernel.png", "b_kernel.png"}


def test_other_scales_are_resampled(upscale: Upscale, picture: Path) -> None:
    assert upscale("zeroshot", "a.png", *STEPS, "-s", "3").code == 0
    with Image.open("a_x3_dualsr.png") as image:
        assert image.size == (216, 192)


@pytest.mark.parametrize(("scale", "passes"), [(None, 1), (1.5, 1), (2, 1), (3, 1), (4, 2), (7.9, 2), (8, 3)])
def test_passes_do_not_surpass_the_scale(scale: float | None, passes: int) -> None:
    assert passes_for(scale) == passes


def test_four_times_is_the_network_twice(upscale: Upscale, picture: Path) -> None:
    assert upscale("zeroshot", "a.png", *STEPS, "-s", "4").code == 0
    assert upscale("zeroshot", "a.png", *STEPS).code == 0
    with Image.open("a_x4_dualsr.png") as four, Image.open("a_x2_dualsr.png") as two:
        assert four.size == (288, 256)
        resampled = np.asarray(two.resize(four.size, Image.Resampling.LANCZOS), float)
        assert np.abs(np.asarray(four, float) - resampled).mean() > 1


def test_a_known_kernel_is_taken_and_not_learned(upscale: Upscale, picture: Path) -> None:
    side = np.exp(-((np.arange(11) - 5) ** 2) / 4)
    np.save("k.npy", np.outer(side, side))
    ended = upscale("zeroshot", "a.png", *STEPS, "--kernel", "k.npy", "--json")
    assert ended.code == 0, ended
    assert "k.npy: its sum was" in ended.err
    assert json.loads(ended.out)["learned"]["width"] == pytest.approx([2**0.5] * 2, rel=0.05)
    with Image.open("a_x2_dualsr.png") as image:
        assert image.info["Learned"] == "quick, 2 of 2 steps, seed 0, kernel given"


def test_a_kernel_may_be_a_filters_name(upscale: Upscale, picture: Path) -> None:
    widths = {}
    for name in ("bicubic", "bilinear"):
        ended = upscale("zeroshot", "a.png", *STEPS, "--kernel", name, "-o", f"{name}.png", "--json")
        assert ended.code == 0, ended
        widths[name] = json.loads(ended.out)["learned"]["width"]
        with Image.open(f"{name}.png") as image:
            assert image.info["Learned"] == f"quick, 2 of 2 steps, seed 0, kernel {name}"
    assert widths["bilinear"] == pytest.approx([0.75**0.5] * 2, rel=0.01)
    assert widths["bicubic"] != widths["bilinear"]


def test_colours_under_full_transparency_are_neither_learned_from_nor_measured(upscale: Upscale, folder: Path) -> None:
    rows, columns = np.mgrid[:128, :144]
    seen = np.hypot(rows - 64, columns - 72) < 50
    truth = _pixels(128, 144)
    Image.fromarray(np.dstack([np.where(seen[..., None], truth, 0), 255 * seen]).astype(np.uint8)).save("hr.png")
    records, made = [], []
    for number, hidden in enumerate((np.zeros_like(truth), np.random.default_rng(1).integers(0, 256, truth.shape))):
        picture = np.dstack([np.where(seen[..., None], truth, hidden), 255 * seen])[::2, ::2].astype(np.uint8)
        Image.fromarray(picture).save("a.png")
        ended = upscale("zeroshot", "a.png", *STEPS, "-o", f"{number}.png", "--reference", "hr.png", "--json")
        assert ended.code == 0, ended
        records.append(json.loads(ended.out)["learned"])
        made.append(np.asarray(Image.open(f"{number}.png")))
    assert records[0] == records[1]
    np.testing.assert_array_equal(*made)
    # The enlargement is a rough one; black areas against bright ones would be 5 dB.
    assert records[0]["psnr"] > 15


def test_a_reference_is_measured_by_and_changes_nothing(upscale: Upscale, picture: Path) -> None:
    Image.fromarray(_pixels(128, 144)).save("hr.png")
    assert upscale("zeroshot", "a.png", *STEPS, "-o", "b.png").code == 0
    ended = upscale("zeroshot", "a.png", *STEPS, "-o", "c.png", "--reference", "hr.png", "--json")
    assert ended.code == 0, ended
    learned = json.loads(ended.out)["learned"]
    assert {"psnr", "ssim", "bicubic_psnr", "bicubic_ssim"} <= learned.keys()
    assert "step 2: PSNR" in ended.err
    with Image.open("b.png") as without, Image.open("c.png") as beside:
        assert np.array_equal(np.array(without), np.array(beside))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["-s", "1"], ["--scale 1 is outside 1 to 8"]),
        (["-s", "9"], ["--scale 9 is outside 1 to 8"]),
        (["-s", "nan"], ["--scale nan"]),
        (["--steps", "0"], ["--steps 0"]),
        (["--recipe", "best"], ["--recipe best", "quick or paper"]),
        (["--seed", "-1"], ["--seed -1"]),
        (["--max-time", "soon"], ["--max-time soon: is not a time"]),
        (["--max-time", "0s"], ["--max-time leaves no time"]),
        (["--kernel", "gone.mat"], ["--kernel gone.mat: there is no such file"]),
        (["--kernel", "bicubc"], ["--kernel bicubc: is neither", "box, bilinear, bicubic, lanczos"]),
        (["--kernel", "a.png"], ["--kernel a.png: 64 x 72", "square"]),
        (["--save-kernel", "k.txt"], ["--save-kernel k.txt: the kernel is a PNG or NPY or MAT"]),
        (["--save-kernel", "a.png"], ["a.png is an input", "choose another --save-kernel"]),
        (["--kernel", "k.png", "--save-kernel", "l.png"], ["contradict"]),
        (["--device", "tpu"], ["unknown device 'tpu'"]),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    upscale: Upscale, picture: Path, arguments: list[str], words: list[str]
) -> None:
    assert upscale("zeroshot", "a.png", *arguments).complained(2, *words)
    assert [path.name for path in Path().iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "hr.png", "--reference", "hr.png"],
        ["-o", "./HR.png", "--reference", "hr.png"],
        ["-o", "k.png", "--kernel", "k.png"],
        ["--reference", "k.png", "--save-kernel", "k.png"],
    ],
)
def test_what_is_read_is_not_written_over(upscale: Upscale, picture: Path, arguments: list[str]) -> None:
    Image.fromarray(_pixels(128, 144)).save("hr.png")
    Image.fromarray(np.full((5, 5), 200, np.uint8)).save("k.png")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    ended = upscale("zeroshot", "a.png", *STEPS, "--overwrite", *arguments)
    option = "--save-kernel" if "--save-kernel" in arguments else "-o"
    assert ended.complained(2, "is an input, and would be written over", f"choose another {option}")
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_a_kernel_of_a_file_is_that_of_each_halving(upscale: Upscale, picture: Path) -> None:
    np.save("k.npy", np.full((5, 5), 0.04))
    arguments = ("zeroshot", "a.png", *STEPS, "--kernel", "k.npy")
    assert "k.npy: taken for each of the 2 halvings" in upscale(*arguments, "-s", "4").err
    assert "halvings" not in upscale(*arguments, "-s", "2").err
    assert "halvings" not in upscale("zeroshot", "a.png", *STEPS, "--kernel", "bicubic", "-s", "4", "-o", "b.png").err


def test_an_output_of_another_scale_is_skipped_with_a_word(upscale: Upscale, picture: Path) -> None:
    assert upscale("zeroshot", "a.png", *STEPS, "-o", "b.png").code == 0
    assert (
        "b.png exists, skipped: it was made with other settings"
        in upscale("zeroshot", "a.png", *STEPS, "-o", "b.png", "-s", "3").err
    )
    assert "other settings" not in upscale("zeroshot", "a.png", *STEPS, "-o", "b.png").err


def test_a_reference_is_of_one_picture_and_what_was_made_of_it(upscale: Upscale, folder: Path) -> None:
    (folder / "in").mkdir()
    Image.fromarray(_pixels(64, 72)).save("in/a.png")
    Image.fromarray(_pixels(128, 144)).save("hr.png")
    assert upscale("zeroshot", "in", *STEPS, "--reference", "hr.png").code == 0
    assert upscale("zeroshot", "in", *STEPS, "--reference", "hr.png", "--overwrite").code == 0


def test_a_reference_of_another_size_or_of_several_pictures(upscale: Upscale, picture: Path) -> None:
    Image.fromarray(_pixels(64, 64)).save("hr.png")
    ended = upscale("zeroshot", "a.png", *STEPS, "--reference", "hr.png")
    assert ended.code == 3
    assert "--reference hr.png: 64 x 64 pixels, the result of a.png has 144 x 128" in ended.err
    assert upscale("zeroshot", "a.png", "hr.png", "--reference", "hr.png").complained(2, "several")
    assert upscale("zeroshot", "a.png", "--reference", "none.png").complained(2, "--reference none.png: ")


def test_a_kernel_too_large_for_the_picture(upscale: Upscale, picture: Path) -> None:
    np.save("k.npy", np.ones((33, 33)) / 33**2)
    ended = upscale("zeroshot", "a.png", *STEPS, "--kernel", "k.npy")
    assert ended.code == 3
    assert "a network learns from no less than 73 a side" in ended.err


def test_a_dry_run_learns_nothing(upscale: Upscale, picture: Path) -> None:
    ended = upscale("zeroshot", "a.png", "--dry-run")
    assert ended.code == 0
    assert ended.out.startswith("a.png -> a_x2_dualsr.png: 72x64 to 144x128")
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_no_recipe_trains_it(upscale: Upscale, folder: Path) -> None:
    Path("r.toml").write_text('name = "mine"\nmethod = "dualsr"\n')
    assert upscale("train", "r.toml").complained(2, "dualsr learns from each picture anew", "upscale zeroshot")
