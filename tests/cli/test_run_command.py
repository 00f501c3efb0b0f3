"""`upscale run`: options, reports and bad input; one bad picture neither stops the others nor hides."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from upscale_cli.cli.run import parse_memory
from upscale_cli.errors import UsageError

Run = Callable[..., Any]


@pytest.fixture
def picture(folder: Path) -> Path:
    """a.png, 30 x 20."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder / "a.png"


def png_that_promises(width: int, height: int) -> bytes:
    """A small file whose header speaks of many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ([], (120, 80)),
        (["-s", "8"], (240, 160)),
        (["-s", "2.5"], (75, 50)),
        (["-s", "1"], (30, 20)),
        (["-s", "0.5"], (15, 10)),
        (["-s", "0.01"], (1, 1)),
        (["--width", "100"], (100, 67)),
        (["--height", "33"], (50, 33)),
        (["-t", "16"], (120, 80)),
        (["-t", "0", "-x"], (120, 80)),
        (["--precision", "bf16"], (120, 80)),
        (["--precision", "fp16"], (120, 80)),
        (["--projection", "off"], (120, 80)),
        (["--tile-statistics", "local"], (120, 80)),
        (["--memory", "64M", "--device", "cpu"], (120, 80)),
    ],
)
def test_sizes_and_settings(run: Run, picture: Path, arguments: list[str], size: tuple[int, int]) -> None:
    ended = run("a.png", "-o", "b.png", *arguments)
    assert ended.code == 0, ended
    with Image.open("b.png") as image:
        assert image.size == size
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-s", "nan"], ["--scale nan is outside"]),
        (["-s", "inf"], ["--scale inf is outside"]),
        (["-s", "0"], ["--scale 0 is outside"]),
        (["-s", "-2"], ["--scale -2 is outside"]),
        (["-s", "65"], ["--scale 65 is outside 0 to 64"]),
        (["-s", "two"], ["--scale", "valid number", "upscale run --help"]),
        (["--width", "0"], ["--width 0 is no size"]),
        (["--height", "-5"], ["--height -5 is no size"]),
        (["-s", "2", "--width", "9"], ["say the same thing"]),
        (["-t", "8"], ["--tile 8 is too small"]),
        (["-t", "-1"], ["--tile -1"]),
        (["-t", "big"], ["--tile big: is neither auto nor"]),
        (["--memory", "1M"], ["--memory 1M", "64M"]),
        (["--memory", "lots"], ["--memory lots"]),
        (["--memory", "9" * 400], ["--memory 999", "is not a size"]),
        (["-t", "9" * 5000], ["--tile 999", "is neither auto nor"]),
        (["-o", ""], ["an empty value after -o", "not set"]),
        (["--fuse-with="], ["an empty value after --fuse-with"]),
        ([""], ["an empty value after a.png"]),
        (["--precision", "fp64"], ["--precision fp64", "fp16"]),
        (["--projection", "on"], ["--projection on"]),
        (["--tile-statistics", "none"], ["--tile-statistics none: is neither exact nor local"]),
        (["--device", "tpu"], ["unknown device 'tpu'"]),
        (["--device", "cuda:99"], ["cuda:99"]),
        (["--sharpen", "-0.1"], ["--sharpen -0.1 is outside 0 to 10"]),
        (["--sharpen", "nan"], ["--sharpen nan is outside"]),
        (["--quality", "101"], ["--quality 101 is outside 1 to 100"]),
        (["--polish"], ["No such option", "--polish"]),
        (["--model", "srrescycgan-aimm"], ["unknown model 'srrescycgan-aimm'", "did you mean srrescycgan-aim"]),
        (["--model", "RWSR"], ["unknown model 'RWSR'", "did you mean rwsr"]),
        (["--model", "no/such.safetensors"], ["no/such.safetensors: there is no such file"]),
        (["--model", "x" * 300], ["unknown model"]),
    ],
)
def test_bad_requests(run: Run, picture: Path, arguments: list[str], words: list[str]) -> None:
    ended = run("a.png", *arguments)
    assert ended.complained(2, *words), ended
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_no_inputs_named(run: Run) -> None:
    assert run().complained(2, "Missing argument 'INPUT")


def test_one_bad_picture_neither_stops_nor_hides(run: Run, picture: Path, folder: Path) -> None:
    data = picture.read_bytes()
    bad = {
        "empty.png": b"",
        "text.jpg": b"this is no picture",
        "cut.png": data[: len(data) // 2],
        "bomb.png": png_that_promises(60_000, 60_000),
        "large.png": png_that_promises(9_000, 9_000),
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "b.tif").write_bytes(data)  # a PNG after all: content decides
    named = [*bad, "gone.png", "a.png", "b.tif"]
    ended = run(*named, "--json", "-o", "out")
    assert ended.code == 3
    records = [json.loads(line) for line in ended.out.splitlines()]
    assert sorted(record["input"] for record in records) == sorted(named)
    errors = {record["input"]: record["error"] for record in records if record["status"] == "failed"}
    assert errors.keys() == {*bad, "gone.png"}
    reasons = {
        "empty.png": "is empty",
        "text.jpg": "is not a picture",
        "cut.png": "truncated",
        "bomb.png": "60000 x 60000 pixels are over the limit of 268 megapixels",
        "large.png": "9000 x 9000 would become 36000 x 36000 pixels, over the limit of 1,074 megapixels",
        "gone.png": "No such file",
    }
    assert all(reasons[name] in error and name in error for name, error in errors.items()), errors
    assert {path.name for path in (folder / "out").iterdir()} == {"a_x4_small.png", "b_x4_small.png"}
    lines = ended.err.splitlines()
    assert "Traceback" not in ended.err
    assert sum(line.startswith("failed: ") for line in lines) == 6
    assert lines[-7].startswith("2 done, 6 failed in ")
    assert sorted(lines[-6:]) == sorted(f"  not done: {name}" for name in errors)


def test_quiet_and_verbose(run: Run, picture: Path, folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"bad")
    quiet = run(".", "-q")
    assert quiet.code == 3
    assert quiet.err.splitlines() == [
        "failed: bad.png: is not a picture, or its header is damaged "
        "(can be read: PNG, JPEG, WEBP, BMP, DIB, TIFF, GIF, PPM, AVIF)",
        "  not done: bad.png",
    ]
    verbose = run(".", "-v", "--overwrite", "-t", "16")
    assert "fp32, tile 16 (4 tiles)" in verbose.err
    assert "Traceback" in verbose.err
    assert "PictureError: bad.png" in verbose.err
    assert "Traceback" in run("a.png", "-v", "-s", "-1").err


def test_json_tells_all(run: Run, picture: Path, small_model: Path) -> None:
    record = json.loads(run("a.png", "--json", "-x", "-o", "b.png").out)
    assert record.pop("seconds") > 0
    assert record.pop("memory") > 120 * 80 * 3
    assert len(record.pop("sha256")) == 64
    assert record == {
        "input": "a.png", "output": "b.png", "status": "done", "input_size": [30, 20], "output_size": [120, 80],
        "model": "small", "precision": "fp32", "tile": 0, "tiles": 1,
    }  # fmt: skip


def test_dry_run_does_nothing(run: Run, upscale: Run, picture: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"bad")
    before = sorted(tmp_path.rglob("*"))
    ended = run(".", "--dry-run", "-o", "out", "-t", "16")
    assert ended.code == 3
    assert ended.out.startswith(f"a.png -> {Path('out/a_x4_small.png')}: 30x20 to 120x80, fp32")
    assert "4 tiles, about" in ended.out
    assert "failed: bad.png" in ended.err
    ended = upscale("run", "a.png", "--dry-run", "--json", "-n", "srrescycgan-aim")
    assert json.loads(ended.out)["status"] == "planned", "without the model being here"
    assert sorted(tmp_path.rglob("*")) == before


def test_notes_are_told_once(run: Run, folder: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (50, 90, 130)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    ended = run("a.gif", "--quality", "80")
    assert ended.code == 0
    assert ended.err.count("note: frame 1 of 3: the others are left out") == 1
    assert ended.err.count("note: quality 80 changes nothing") == 1
    assert run("a.gif", "--dry-run", "--overwrite").err.count("frame 1 of 3") == 1


def test_what_the_format_cannot_hold_is_refused_before_the_work(run: Run, folder: Path) -> None:
    Image.new("RGBA", (8, 8), (1, 2, 3, 100)).save(folder / "clear.png")
    Image.new("L", (16_500, 1)).save(folder / "wide.png")
    ended = run("clear.png", "wide.png", "-f", "jpg")
    assert ended.code == 3
    assert "failed: clear.png: JPEG cannot hold transparency (choose PNG, WebP or TIFF)" in ended.err
    assert "failed: wide.png: JPEG holds at most 65500 pixels a side, not 66000 x 4 pixels" in ended.err
    assert "WebP holds at most 16383" in run("wide.png", "-f", "webp", "-s", "1").err
    assert {path.name for path in folder.iterdir()} == {"clear.png", "wide.png"}


def test_models_that_do_not_fit(upscale: Run, picture: Path, small_model: Path, folder: Path) -> None:
    state = load_file(small_model)
    missing = dict(list(state.items())[1:])
    save_file(missing, folder / "missing.safetensors", {"options": '{"features": 4, "blocks": 1}'})
    save_file(state, folder / "other.safetensors", {"method": "diffusion"})
    save_file(state, folder / "odd.safetensors", {"options": "[1"})
    save_file(state, folder / "size.safetensors", {"method": "srrescycgan"})
    (folder / "cut.safetensors").write_bytes(small_model.read_bytes()[:-100])
    (folder / "page.pth").write_text("<!doctype html><title>Sign in</title>")
    words = {
        "missing.safetensors": "1 missing: ",
        "other.safetensors": "method 'diffusion'",
        "odd.safetensors": "metadata are damaged",
        "size.safetensors": "features 4 instead of 64",
        "cut.safetensors": "damaged",
        "page.pth": "is a web page, not a checkpoint",
    }
    for name, word in words.items():
        ended = upscale("run", "a.png", "--model", name)
        assert ended.complained(4, name, word), ended
    assert not (folder / "a_x4_missing.png").exists()


def test_a_model_that_is_not_here_and_a_damaged_one(
    upscale: Run, picture: Path, small_model: Path, tmp_path: Path
) -> None:
    ended = upscale("run", "a.png", "--model", "srrescycgan-aim")
    assert ended.complained(4, "srrescycgan-aim: is not on this machine", "offline", "cache")
    imported = upscale(
        "models", "import", small_model, "--name", "mine",
        *("--option", "features=4"), *("--option", "blocks=1"), *("--option", "noise_estimate=robust"),
    )  # fmt: skip
    assert imported.code == 0, imported
    assert upscale("run", "a.png", "--model", "mine").code == 0
    cached = tmp_path / "cache" / "mine.weights"
    data = bytearray(cached.read_bytes())
    data[-1] ^= 1
    cached.write_bytes(data)
    ended = upscale("run", "a.png", "--model", "mine", "-o", "b.png")
    assert ended.complained(4, "mine.weights: is damaged: expected sha256"), ended


def test_memory_sizes() -> None:
    assert parse_memory("64M") == 64 * 2**20
    assert parse_memory("1.5GiB") == 3 * 2**29
    assert parse_memory(" 2 g ") == 2**31
    assert parse_memory("134217728") == 2**27
    for text in ("", "-1G", "1e9", "63M", "G", "1GG"):
        with pytest.raises(UsageError):
            parse_memory(text)


def test_a_bug_is_shown_whole(run: Run, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr("upscale_cli.services.enlarger.to_tensor", broken)
    ended = run("a.png")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "KeyError: 'no such thing'" in ended.err
    assert "please report it" in ended.err.splitlines()[-1]
    assert [path.name for path in Path().iterdir()] == ["a.png"]
