"""Standard streams that are closed, full or no longer read: one line and its exit code, and no work lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import run_processes as processes
from PIL import Image

UPSCALE = f"{sys.executable} -m upscale_cli"


def shell(command: str, folder: Path) -> tuple[int, str]:
    """Exit code of `command` and what it wrote to stderr, with Python's usual buffers."""
    usual = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    ended = subprocess.run(["bash", "-c", command], cwd=folder, stderr=subprocess.PIPE, text=True, env=usual)
    return ended.returncode, ended.stderr


PRINTING = "models list|models list --json|models info rwsr|models verify rwsr|models path rwsr|--version|--help"


@pytest.mark.parametrize("command", [*PRINTING.split("|"), "train --print-config rwsr"])
def test_full_standard_output_is_one_line(folder: Path, command: str) -> None:
    assert processes.end(processes.start(command.split(), folder, stdout="/dev/full")) == 5
    assert processes.log(folder).startswith("error: standard output: No space left on device (")
    assert processes.log(folder).count("\n") == 1


def test_a_full_standard_output_of_ascii_is_one_line_too(folder: Path) -> None:
    code, said = shell(f"PYTHONIOENCODING=ascii {UPSCALE} models list >/dev/full", folder)
    assert (code, said.count("\n")) == (5, 1)
    assert said.startswith("error: standard output: No space left on device (")


def test_names_that_are_not_ascii_are_said_where_the_locale_is(folder: Path, small_model: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "bücher.png")
    command = f"PYTHONIOENCODING=ascii {UPSCALE} run bücher.png -o b.png --model {small_model} --dry-run"
    assert shell(f"{command} >said", folder) == (0, "")
    assert (folder / "said").read_text(encoding="utf-8").startswith("bücher.png -> b.png: ")


def test_a_reader_that_has_enough_ends_the_command_quietly(folder: Path) -> None:
    command = f"{UPSCALE} models list --json | true; exit ${{PIPESTATUS[0]}}"
    assert shell(command, folder) == (141, "")


def test_a_reader_that_has_enough_of_a_picture_ends_the_command_quietly(folder: Path, small_model: Path) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=150)  # larger than a pipe holds
    command = f"{UPSCALE} run {picture.name} -q --model {small_model} -o - | head -c 9 >start; exit ${{PIPESTATUS[0]}}"
    assert shell(command, folder) == (141, "")
    assert (folder / "start").read_bytes() == b"\x89PNG\r\n\x1a\n\0"


@pytest.mark.parametrize("file_format", ["png", "jpg", "tif", "webp", "avif"])
def test_a_picture_may_be_appended_to_a_file_that_is_empty(folder: Path, small_model: Path, file_format: str) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=8)
    command = f"{UPSCALE} run {picture.name} -q --model {small_model} -f {file_format} -o -"
    assert shell(f"{command} >>appended && {command} >written", folder) == (0, "")
    assert (folder / "appended").read_bytes() == (folder / "written").read_bytes()
    assert processes.whole(folder / "appended")


def test_a_closed_standard_output_is_missed_only_where_something_is_printed(folder: Path, small_model: Path) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=8)
    for command in ("models list", "--version", f"run {picture.name} --model {small_model} --dry-run -q"):
        code, said = shell(f"{UPSCALE} {command} >&-", folder)
        assert code == 5
        assert said.startswith("error: standard output: Bad file descriptor")
        assert said.count("\n") == 1
    code, said = shell(f"{UPSCALE} run - --model {small_model} <{picture.name} >&-", folder)
    assert (code, said.count("\n")) == (5, 1)
    assert "standard output: Bad file descriptor (name a file with -o)" in said


def test_pictures_are_whole_without_any_stream(folder: Path, small_model: Path) -> None:
    """No picture's file takes the number of a stream, so that a message would land in it."""
    (picture,) = processes.draw_batch(folder, 1, side=8)
    shell(f"{UPSCALE} run {picture.name} no-such.png -o out/ --model {small_model} <&- >&- 2>&-; echo $? >code", folder)
    assert (folder / "code").read_text() == "3\n"
    with Image.open(folder / "out" / "00_x4_small.png") as image:
        assert image.size == (32, 32)
        image.load()


def test_messages_that_nobody_reads_stop_nothing(folder: Path, small_model: Path) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=8)
    assert shell(f"{UPSCALE} run {picture.name} -o b.png --model {small_model} 2>/dev/full", folder) == (0, "")
    assert processes.whole(folder / "b.png")


def test_a_closed_standard_input_is_a_picture_that_cannot_be_read(folder: Path, small_model: Path) -> None:
    code, said = shell(f"{UPSCALE} run - -o b.png --model {small_model} --dry-run <&-", folder)
    assert (code, said.count("\n")) == (3, 1)
    assert "failed: standard input: cannot be read: Bad file descriptor" in said
