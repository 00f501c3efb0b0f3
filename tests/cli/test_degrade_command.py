"""`upscale degrade` as typed: exit codes, JSON, what stands on which stream."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phone_pictures import by_phone, save_pair, scene
from upscale_cli.cli.degrade import PAIRS
from upscale_cli.cli.degrade import RECIPES as NAMED
from upscale_cli.degradation.recipes import RECIPES

Upscale = Callable[..., Any]
DPED = ["--recipe", "dped", "--lr", "photos", "--reference", "photos"]


@pytest.fixture
def photos(folder: Path) -> Path:
    """photos/a.png and photos/b.png, 40 x 32."""
    (folder / "photos").mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / name)
    return folder / "photos"


def test_a_folder(upscale: Upscale, photos: Path):
    ended = upscale("degrade", "photos/", "-o", "lr/", "--scale", "4", "--recipe", "rwsr", "--seed", "1")
    assert ended.code == 0
    assert ended.out == ""
    assert "photos/a.png -> lr/a.png (40x32 to 10x8" in ended.err
    assert "2 done" in ended.err
    assert len(Path("lr/manifest.jsonl").read_text().splitlines()) == 2
    assert "2 skipped" in upscale("degrade", "photos/", "-o", "lr/", "--seed", "1").err


def test_no_picture_is_taken_for_an_enlarged_one(upscale: Upscale, photos: Path):
    (photos / "b.png").rename(photos / "a_x2_.png")
    assert "2 done" in upscale("degrade", "photos/", "-o", "lr/").err
    assert sorted(path.name for path in Path("lr").glob("*.png")) == ["a.png", "a_x2_.png"]


def test_two_runs_into_one_folder_lose_no_lines(photos: Path):
    for number in range(24):
        Image.new("RGB", (32, 32), (number,) * 3).save(photos / f"c{number}.png")
        Image.new("RGB", (32, 32), (number, 0, 0)).save(photos / f"d{number}.png")
    command = [sys.executable, "-m", "upscale_cli", "degrade", "-q", "-o", "lr"]
    runs = [subprocess.Popen([*command, *map(str, sorted(photos.glob(f"{kind}*.png")))]) for kind in "cd"]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert len(Path("lr/manifest.jsonl").read_text().splitlines()) == len(list(Path("lr").glob("*.png"))) == 48


def test_a_bad_picture_is_named_and_the_code_is_3(upscale: Upscale, photos: Path):
    (photos / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ended = upscale("degrade", "photos", "-o", "lr", "-q")
    assert ended.code == 3
    assert ended.err.count("photos/bad.png") == 2
    assert "a.png" not in ended.err
    assert Path("lr/a.png").exists()


def test_json_has_what_was_drawn(upscale: Upscale, photos: Path):
    ended = upscale("degrade", "photos", "-o", "lr", "--json", "-q", "--recipe", "srrescycgan-noise")
    records = [json.loads(line) for line in ended.out.splitlines()]
    assert [(record["input"], record["status"]) for record in records] == [
        ("photos/a.png", "done"),
        ("photos/b.png", "done"),
    ]
    assert records[0]["degradation"]["noise"] == {"kind": "gaussian", "sigma": 8.0, "peak": None}
    assert ended.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos"], ["--output"]),
        (["photos", "-o", "lr", "--scale", "0"], ["--scale"]),
        (["photos", "-o", "lr", "--seed", "-1"], ["--seed"]),
        (["photos", "-o", "lr", "--recipe", "rwrs"], ["rwrs", "rwsr"]),
        (["photos", "-o", "lr", "--recipe", "none.toml"], ["none.toml", "cannot be read"]),
        (["photos", "-o", "photos"], ["photos/a.png is there itself"]),
        (["-o", "lr"], ["--recipe rwsr", "INPUT is missing"]),
        (["photos", "--lr", "photos", "-o", "lr"], ["--lr: does not go with --recipe rwsr"]),
        (["photos", "--max-shift", "2", "-o", "lr"], ["--max-shift: does not go with --recipe rwsr"]),
        ([*DPED[:4], "-o", "lr"], ["--recipe dped", "--reference is missing"]),
        ([*DPED, "photos", "-o", "lr"], ["INPUT: does not go with --recipe dped"]),
        ([*DPED, "--seed", "0", "-o", "lr"], ["--seed: does not go with --recipe dped"]),
        ([*DPED, "--pairs", "T9", "-o", "lr"], ["T9", "T1, T2, T3, T4"]),
        ([*DPED, "--sr-model", "none", "-o", "lr"], ["unknown model 'none'"]),
        ([*DPED[:5], "none", "-o", "lr"], ["--reference none: there is no such folder"]),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(upscale: Upscale, photos: Path, arguments: list[str], words: list[str]):
    assert upscale("degrade", *arguments).complained(2, *words)
    assert not Path("lr").exists()


def test_pairs_of_a_phone_and_a_better_camera(upscale: Upscale, folder: Path, small_model: Path):
    save_pair("a", by_phone(scene()), scene())
    save_pair("b", by_phone(scene(1)), scene(2))
    command = "degrade", "--recipe", "dped", "--lr", "phone/", "--reference", "dslr/", "--sr-model", small_model
    ended = upscale(*command, "-o", "mobile/")
    assert ended.code == 3
    assert ended.out == ""
    assert "phone/a.jpg -> mobile/hr/a.png (72x64 to 288x256" in ended.err
    assert "failed: phone/b.jpg: does not show what dslr/b.png shows" in ended.err
    assert "1 done, 1 failed" in ended.err
    again = upscale(*command, "-o", "again/", "--json", "-q", "--pairs", "T3")
    records = {Path(record["input"]).stem: record for record in map(json.loads, again.out.splitlines())}
    assert {name: record["status"] for name, record in records.items()} == {"a": "done", "b": "failed"}
    assert records["a"]["degradation"]["pairs"] == "T3"
    assert records["a"]["model"] == records["a"]["degradation"]["model"] == small_model.stem


def test_help_names_every_recipe_and_imports_nothing_heavy():
    assert NAMED.split(", ") == list(RECIPES)
    script = (
        "import sys\nfrom upscale_cli.cli.app import main\ntry:\n    main(['degrade', '--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'torch', 'cv2', 'numpy', 'PIL'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "--recipe" in done.stdout
    assert PAIRS in done.stdout
    assert done.stderr.strip() == "[]"


def test_torch_is_not_needed(photos: Path):
    script = (
        "import sys\nfrom upscale_cli.cli.app import main\ntry:\n    main(['degrade', 'photos', '-o', 'lr', '-q'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
