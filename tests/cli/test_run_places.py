"""Where `upscale run` puts its pictures, what it refuses, and that no picture of the user's is ever written over."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
WIDTH, HEIGHT = 12, 9


def draw(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def tree(folder: Path) -> dict[str, str]:
    """Every file below `folder` with its content's hash."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_beside_the_input_by_default(run: Run, folder: Path) -> None:
    draw(folder / "a.jpg")
    ended = run("a.jpg")
    assert ended.code == 0
    assert ended.out == ""
    assert "a.jpg -> a_x4_small.png (12x9 to 48x36" in ended.err
    assert Image.open(folder / "a_x4_small.png").size == (4 * WIDTH, 4 * HEIGHT)
    assert set(tree(folder)) == {"a.jpg", "a_x4_small.png"}


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["-o", "b.jpg"], "b.jpg"),
        (["-o", "new/b.tif"], "new/b.tif"),
        (["-o", "out"], "out/a_x4_small.png"),
        (["-o", "out/", "-f", "webp"], "out/a_x4_small.webp"),
        (["-o", "v1.2"], "v1.2/a_x4_small.png"),
        (["-o", "out", "--suffix", "_big"], "out/a_big.png"),
        (["--suffix", "", "-f", "bmp"], "a.bmp"),
        (["-o", "{stem}_{in_ext}_x{scale}_{model}.{ext}"], "a_png_x4_small.png"),
        (["-o", "o/{folder}/{stem}.avif"], "o/a.avif"),
        (["-s", "2.5"], "a_x2.5_small.png"),
        (["--width", "20"], "a_x20w_small.png"),
    ],
)
def test_output_as_asked(run: Run, folder: Path, arguments: list[str], output: str) -> None:
    draw(folder / "a.png")
    assert run("a.png", *arguments).code == 0
    assert set(tree(folder)) == {"a.png", output}


def test_output_in_an_existing_folder(run: Run, folder: Path) -> None:
    """Also one whose name looks like a picture's, or that is a link."""
    draw(folder / "a.png")
    (folder / "album.png").mkdir()
    (folder / "link").symlink_to(folder / "album.png")
    assert run("a.png", "-o", "album.png").code == 0
    assert run("a.png", "-o", "link", "--suffix", "_2").code == 0
    assert set(tree(folder)) == {"a.png", "album.png/a_x4_small.png", "album.png/a_2.png"}


def test_folders(run: Run, folder: Path) -> None:
    """-r keeps what lies below; hidden files and folders, and what is no picture, are not touched."""
    for name in ("in/a.png", "in/sub/b.JPG", "in/sub/deep/c.webp", "in/.hidden.png", "in/.thumbs/d.png"):
        draw(folder / name)
    (folder / "in/notes.txt").write_text("no picture")
    assert run("in").code == 0
    assert set(tree(folder / "in")) & {"a_x4_small.png", "sub/b_x4_small.png"} == {"a_x4_small.png"}
    ended = run("in", "-r", "-o", "out")
    assert ended.code == 0
    assert "left out, as outputs of the others: in/a_x4_small.png (" in ended.err
    assert set(tree(folder / "out")) == {"a_x4_small.png", "sub/b_x4_small.png", "sub/deep/c_x4_small.png"}


def test_an_output_folder_inside_the_input_folder_is_no_input(run: Run, folder: Path) -> None:
    draw(folder / "in/a.png")
    for output in ("in/out", "in/small/{stem}.jpg"):
        assert run("in", "-r", "-o", output).code == 0
        again = run("in", "-r", "-o", output, "--overwrite")
        assert again.code == 0
        assert again.err.count("->") == 1
    assert set(tree(folder / "in")) == {"a.png", "out/a_x4_small.png", "small/a.jpg"}


def test_what_earlier_runs_made_is_no_input(run: Run, folder: Path) -> None:
    """With the same and with other settings, found in a folder or named by the shell."""
    draw(folder / "a.png")
    draw(folder / "b_x4_house.png")
    assert run(".").code == 0
    assert run(".", "-s", "2").code == 0
    assert run(".", "-f", "jpg").code == 0
    made = {
        f"{stem}{suffix}"
        for stem in ("a", "b_x4_house")
        for suffix in ("_x4_small.png", "_x2_small.png", "_x4_small.jpg")
    }
    assert set(tree(folder)) == {"a.png", "b_x4_house.png"} | made
    before = tree(folder)
    ended = run(*sorted(path.name for path in folder.iterdir()))
    assert "2 skipped" in ended.err
    assert tree(folder) == before
    assert run("a_x4_small.png", "-s", "1").code == 0, "asked for by itself it is a picture like any other"
    assert (folder / "a_x4_small_x1_small.png").exists()


def test_what_zeroshot_made_is_no_input(run: Run, folder: Path) -> None:
    for name in ("a.png", "a_x2_dualsr.png", "b_x2_dualsr.png"):
        draw(folder / name)
    ended = run(".")
    assert "left out, as outputs of the others: a_x2_dualsr.png" in ended.err
    assert set(tree(folder)) == {*("a.png", "a_x2_dualsr.png", "b_x2_dualsr.png")} | {
        *("a_x4_small.png", "b_x2_dualsr_x4_small.png")
    }


def test_names_that_no_system_takes_for_one_are_two(run: Run, folder: Path) -> None:
    for name in ("strasse.png", "straße.png"):
        draw(folder / name)
    assert run(".").code == 0
    assert {"strasse_x4_small.png", "straße_x4_small.png"} <= set(tree(folder))


def test_a_rerun_without_a_suffix_leaves_out_its_own_outputs(run: Run, folder: Path) -> None:
    draw(folder / "a.bmp")
    assert run(".", "--suffix", "").code == 0
    before = tree(folder)
    ended = run(".", "--suffix", "")
    assert ended.code == 0
    assert "left out, as outputs of the others: a.png" in ended.err
    assert tree(folder) == before


def test_a_picture_that_is_named_is_left_out_only_if_it_is_an_output(run: Run, folder: Path) -> None:
    for name in ("a.png", "a_x2_small.png"):
        draw(folder / name)
    assert run("a.png", "a_x2_small.png", "-o", "out").code == 0
    assert set(tree(folder / "out")) == {"a_x4_small.png", "a_x2_small_x4_small.png"}


def test_own_names_are_told_from_the_users(run: Run, folder: Path) -> None:
    """With a suffix of one's own: an output is written anew only where it says that it is one."""
    draw(folder / "a.png")
    assert run(".", "--suffix", "_big").code == 0
    assert run(".", "--suffix", "_big", "--overwrite").code == 0
    assert set(tree(folder)) == {"a.png", "a_big.png"}
    draw(folder / "a_big.png", seed=1)
    before = tree(folder)
    ended = run(".", "--suffix", "_big", "--overwrite")
    assert ended.complained(2, "a_big.png is an input, and would be written over")
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("pictures", "arguments", "words"),
    [
        (["a.jpg", "a.png"], ["."], ["a.jpg and a.png would both become a_x4_small.png", "{in_ext}"]),
        (["a.png", "A.PNG"], ["."], ["would both become"]),
        (["a/x.png", "b/x.png"], ["a", "b", "-o", "out"], ["would both become"]),
        (["a.png"], ["a.png", "--suffix", ""], ["a.png is an input"]),
        (["a.png"], [".", "--suffix", ""], ["a.png is an input, and would be written over"]),
        (["in/a.png"], ["in", "-o", "in", "--suffix", ""], ["in/a.png is an input"]),
        (["in/a.png"], ["in", "-o", "in/{stem}.png"], ["in/a.png is an input"]),
        (["a.png", "a.tif"], [".", "--suffix", ""], ["a.png is an input, and would be written over"]),
        (["a.png", "A.png"], ["."], ["would both become", "rename one"]),
        (["a.png"], ["a.png", "-o", "a.png", "--overwrite"], ["a.png is an input"]),
        (["a.png"], ["a.png", "-o", "./x/../A.png"], ["is an input"]),
        (["a.png", "b.png"], ["a.png", "b.png", "-o", "b.png", "--overwrite"], ["2 pictures cannot go into one file"]),
        (["a.png", "b.png"], ["a.png", "b.png", "-o", "-"], ["2 pictures cannot all go to standard output"]),
        (["a.png"], ["a.png", "-o", "link.png"], ["link.png is a link"]),
        (["a.png"], ["a.png", "--suffix", "_d"], ["a_d.png is a folder"]),
        (["a.png"], ["a.png", "-o", "file/out"], ["file is not a folder"]),
        (["a.png"], ["a.png", "-o", "file"], ["file is not a folder"]),
        (["a.png"], ["a.png", "-o", "b.gif"], ["this format is not written", ".png"]),
        (["a.png"], ["a.png", "-o", "b.png", "-f", "jpg"], ["b.png is PNG, -f says JPEG"]),
        (["a.png"], ["a.png", "-o", "{name}.png"], ["is not a template", "{stem}"]),
        (["a.png"], ["a.png", "-o", "{stem"], ["is not a template"]),
        (["a.png"], ["a.png", "-o", "{stem}"], ["has no suffix"]),
        (["a.png"], ["a.png", "-f", "gif"], ["no picture format is called 'gif'", ".png"]),
        (["a.png"], ["a.png", "--suffix", "/../x"], ["--suffix", "slashes"]),
        (["x/y/a.png"], ["x"], ["no pictures in x", "-r"]),
        ([], ["x*.png"], ["x*.png: matches nothing"]),
        (["a.png"], ["-", "--json"], ["standard output"]),
    ],
)  # fmt: skip
def test_refused_before_the_first_picture(
    run: Run, folder: Path, pictures: list[str], arguments: list[str], words: list[str]
) -> None:
    for seed, name in enumerate(pictures):
        draw(folder / name, seed)
    (folder / "file").write_text("a file")
    (folder / "link.png").symlink_to("elsewhere.png")
    (folder / "a_d.png").mkdir()
    before = tree(folder)
    ended = run(*arguments)
    assert ended.complained(2, *words), ended
    assert ended.out == ""
    assert tree(folder) == before


def test_an_input_behind_a_link_is_not_written_over(run: Run, folder: Path) -> None:
    draw(folder / "real.png")
    (folder / "link.png").symlink_to("real.png")
    before = tree(folder)
    assert run("link.png", "-o", "real.png", "--overwrite").complained(2, "real.png is an input")
    assert tree(folder) == before


def test_existing_outputs_are_skipped(run: Run, folder: Path) -> None:
    draw(folder / "a.png")
    assert run("a.png", "-o", "b.jpg").code == 0
    before = tree(folder)
    ended = run("a.png", "-o", "b.jpg", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {"input": "a.png", "output": "b.jpg", "status": "skipped"}
    assert tree(folder) == before
    ended = run("a.png", "-o", "b.jpg", "-s", "2", "--json")
    assert json.loads(ended.out)["notes"] == ["it was made with other settings"]
    assert tree(folder) == before
    assert "other settings" not in run("a.png", "-o", "b.jpg", "-s", "4").err
    assert run("a.png", "-o", "b.jpg", "-s", "2", "--overwrite").code == 0
    assert Image.open(folder / "b.jpg").size == (2 * WIDTH, 2 * HEIGHT)


def test_odd_names(run: Run, folder: Path) -> None:
    """Spaces, other alphabets, line breaks, bytes that are no text, a leading dash."""
    odd = ["with space.png", "größe 写真.png", "line\nbreak.png", "esc\x1b[31m.png", "-x.png", os.fsdecode(b"\xff.png")]
    for name in odd:
        draw(folder / name)
    ended = run("--json", "--", *odd)
    assert ended.code == 0
    assert [json.loads(line)["input"] for line in ended.out.splitlines()] == odd
    assert len(ended.err.splitlines()) == len(odd) + 1
    assert "\x1b" not in ended.err
    assert all((folder / f"{Path(name).stem}_x4_small.png").exists() for name in odd)


def test_a_name_too_long_fails_alone(run: Run, folder: Path) -> None:
    long = "é" * 122 + ".png"
    draw(folder / long)
    draw(folder / "a.png")
    ended = run(".", "y" * 300 + ".png")
    assert ended.code == 3
    assert ended.err.count("failed:") == 2
    assert "257 bytes" in ended.err
    assert "313 bytes" in ended.err
    assert (folder / "a_x4_small.png").exists()
    assert run(long, "-o", "short.png").code == 0
