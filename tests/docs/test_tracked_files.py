"""What the repository may hold."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Put together here, so that this file is no hit itself.
ELSEWHERE = re.compile(
    "|".join("/" + name + "/" for name in ("work", "root", "home", "Users", "tmp/venv", "opt/wheels"))
)
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".ppm"}


def _tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_somebodys_machine():
    hits = []
    for path in _tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        hits += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in ELSEWHERE.finditer(text)]
    assert hits == []


def test_no_picture_is_committed_but_the_small_ones_of_the_docs():
    pictures = [path for path in _tracked() if path.suffix.lower() in PICTURES]
    assert [path for path in pictures if path.parent != ROOT / "docs" / "pictures"] == []
    assert sum(path.stat().st_size for path in pictures) < 500_000


def test_each_picture_of_the_docs_has_its_command():
    kept = {path.stem for path in (ROOT / "docs" / "pictures").iterdir()}
    drawn = re.findall(r'^    "(\w+)": \w+,$', (ROOT / "benchmarks" / "pictures.py").read_text(), re.MULTILINE)
    assert kept == set(drawn)


def test_every_pin_is_one_plain_version():
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-zA-Z0-9._-]+==[0-9][0-9a-z.]*", pin)] == []
    assert "torch==2.13.0" in pins
    assert "torchvision" not in "".join(pins)
