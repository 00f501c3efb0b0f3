"""`upscale run` as the system meets it: pipes, terminals, signals, kills, full disks, and what it imports."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import run_processes as processes
from PIL import Image

Upscale = Callable[..., Any]
UPSCALE = [sys.executable, "-m", "upscale_cli"]
TEMPORARY = ".upscale-*.tmp"


def imported(arguments: list[str], folder: Path) -> set[str]:
    """The heavy packages that a command imports."""
    script = (
        "import sys\nfrom upscale_cli.cli.app import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print([name for name in ('torch', 'cv2', 'requests') if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return set(re.findall(r"\w+", ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_current_folder_that_is_gone_is_said(folder: Path, command: str) -> None:
    gone = folder / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && {sys.executable} -m upscale_cli {command} a.png -o b"
    ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: the current folder is gone (change to another one)\n"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "-h"], ["--version"], ["models", "list"]])
def test_light_commands(folder: Path, arguments: list[str]) -> None:
    assert imported(arguments, folder) == set()


def test_completion_is_light(folder: Path) -> None:
    script = "import sys, atexit\natexit.register(lambda: print('torch' in sys.modules, 'cv2' in sys.modules))\n"
    script += "from upscale_cli.cli.app import main\nmain()\n"
    words = {"_UPSCALE_COMPLETE": "complete_bash", "COMP_WORDS": "upscale run -n srrescycgan-a", "COMP_CWORD": "3"}
    ended = subprocess.run([sys.executable, "-c", script], env=os.environ | words, capture_output=True, text=True)
    assert ended.stdout.split() == ["srrescycgan-aim", "False", "False"]


def test_forty_existing_outputs_are_skipped_without_torch(folder: Path, small_model: Path) -> None:
    pictures = processes.draw_batch(folder / "in", 40, side=4)
    (folder / "out").mkdir()
    for path in pictures:
        (folder / "out" / f"{path.stem}_x4_small.png").write_bytes(path.read_bytes())
    command = ["run", "in", "-o", "out", "--model", str(small_model)]
    assert "torch" not in imported(command, folder)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_give_way_unless_told(
    upscale: Upscale, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    """GNU OpenMP reads it when torch is loaded, so it must stand in the environment before."""
    monkeypatch.setattr(os, "environ", {**given})
    assert upscale("--version").code == 0
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_pipes(folder: Path, small_model: Path) -> None:
    """cat a.png | upscale run - > b.png"""
    (picture,) = processes.draw_batch(folder, 1, side=8)
    command = [*UPSCALE, "run", "-", "--model", str(small_model), "-f", "tif"]
    ended = subprocess.run(command, input=picture.read_bytes(), capture_output=True)
    assert ended.returncode == 0, ended.stderr
    (folder / "b").write_bytes(ended.stdout)
    with Image.open(folder / "b") as image:
        assert (image.format, image.size) == ("TIFF", (32, 32))
    assert b"standard input -> - (8x8 to 32x32" in ended.stderr


def test_a_plan_for_standard_input_leaves_standard_output_to_json(
    folder: Path, run: Upscale, monkeypatch: pytest.MonkeyPatch
) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=8)
    for output in ([], ["-o", "-"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
        ended = run("-", *output, "--dry-run", "--json")
        assert (ended.code, json.loads(ended.out)["status"]) == (0, "planned")
    assert run("-", "--json").complained(2, "both go to standard output")


def test_damaged_standard_input(folder: Path, run: Upscale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"GIF89a")))
    assert run("-", "-o", "b.png").complained(3, "failed: standard input: is not a picture")


def test_full_standard_output(folder: Path, small_model: Path) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=8)
    command = ["run", "--model", str(small_model), picture.name]
    for number, more in enumerate((["-o", "-"], ["--json"]), start=1):
        assert processes.end(processes.start([*command, *more], folder, stdout="/dev/full")) == 5
        assert processes.log(folder).count("standard output: No space left on device") == number
    assert "Traceback" not in processes.log(folder)


def test_at_a_terminal(folder: Path, small_model: Path) -> None:
    """stderr a terminal: bars there, the results on stdout all the same; no picture is thrown at a terminal."""
    processes.draw_batch(folder, 2, side=8)
    command = " ".join([*UPSCALE, "run", "--model", str(small_model), ".", "--json"])
    terminal = ["script", "-qec", f"{command} > records", "/dev/null"]
    ended = subprocess.run(terminal, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    records = [json.loads(line) for line in (folder / "records").read_text().splitlines()]
    assert [record["status"] for record in records] == ["done", "done"]
    assert "00.png -> 00_x4_small.png" in ended.stdout


def test_no_picture_is_thrown_at_a_terminal(folder: Path, run: Upscale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("a.png", "-o", "-").complained(2, "the picture would be written to the terminal", "> b.png")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_point(folder: Path, small_model: Path, number: signal.Signals) -> None:
    """Ended at once and cleanly; the same command goes on, and at the end all is there and whole."""
    pictures = processes.draw_batch(folder / "in", 40)
    command = ["run", "in", "-o", "out", "--model", str(small_model)]
    rng = random.Random(number)
    interrupted = 0
    for _ in range(5):
        process = processes.start(command, folder)
        processes.wait_until(partial(gone_or_handles_signals, process))
        goal = len(list(folder.glob("out/*.png"))) + rng.randrange(4)
        processes.wait_until(partial(gone_or_wrote, process, folder / "out", goal - 1))
        time.sleep(rng.uniform(0, 0.03))
        sent = time.monotonic()
        if process.is_alive():
            os.kill(process.pid, number)
        code = processes.end(process)
        assert code in (0, 130), processes.log(folder)
        assert time.monotonic() - sent < 5
        assert not list(folder.rglob(TEMPORARY))
        assert all(map(processes.whole, folder.glob("out/*.png")))
        interrupted += code == 130
    assert interrupted >= 3, "the others were done before the signal came"
    # Before the arguments are understood the signal ends the process without a word.
    assert 1 <= processes.log(folder).count("interrupted; what is finished stays") <= interrupted
    assert "Traceback" not in processes.log(folder)
    assert processes.end(processes.start(command, folder)) == 0
    assert len(list(folder.glob("out/*.png"))) == len(pictures)


def gone_or_handles_signals(process: ForkServerProcess) -> bool:
    """Whether the process has come so far; `main` is the first to handle SIGTERM."""
    if not process.is_alive():
        return True
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"SigCgt:\s+(\w+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def gone_or_wrote(process: ForkServerProcess, folder: Path, more_than: int) -> bool:
    return not process.is_alive() or len(list(folder.glob("*.png"))) > more_than


def test_killed_and_gone_on_with(folder: Path, small_model: Path) -> None:
    """kill -9 at random points of a batch, resumed each time: nothing corrupt, nothing redone, nothing left over."""
    count = 12
    processes.draw_batch(folder / "in", count)
    command = ["run", "in", "-o", "out", "--model", str(small_model), "--json"]
    rng = random.Random(0)
    written: dict[str, int] = {}
    kills = 8
    for attempt in range(kills + 1):
        process = processes.start(command, folder)
        if attempt < kills:
            done = len(list(folder.glob("out/*.png")))
            processes.wait_until(partial(gone_or_wrote, process, folder / "out", done))
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        code = processes.end(process)
        assert code in (0, -signal.SIGKILL), processes.log(folder)
        assert len(list(folder.rglob(TEMPORARY))) <= 1
        assert all(map(processes.whole, folder.glob("out/*.png")))
        times = {path.name: path.stat().st_mtime_ns for path in folder.glob("out/*.png")}
        assert {name: times[name] for name in written} == written, "a finished picture was written again"
        written = times
    assert len(written) == count
    assert not list(folder.rglob(TEMPORARY))


def test_a_killed_runs_temporary_file_is_swept(folder: Path, small_model: Path) -> None:
    processes.draw_batch(folder, 1, side=8)
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    script = "from upscale_cli.imaging import atomic; print(atomic._HOST)"
    host = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip()
    left = folder / f".upscale-{host}-{dead.stdout.strip()}-00000000.tmp"
    left.write_bytes(b"half a picture")
    assert processes.end(processes.start(["run", ".", "--model", str(small_model)], folder)) == 0
    assert not left.exists()


@pytest.fixture
def little_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1.5 MiB."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_batch(folder: Path, small_model: Path, little_disk: Path) -> None:
    processes.draw_batch(folder / "in", 4, side=128)
    command = ["run", "in", "-o", "disk", "--model", str(small_model), "-f", "bmp", "--json"]
    assert processes.end(processes.start(command, folder)) == 5
    records = [json.loads(line) for line in processes.log(folder).splitlines() if line.startswith("{")]
    assert [record["status"] for record in records][-1] == "failed"
    assert "no space left: up to 0.8 MiB needed" in records[-1]["error"]
    assert "not begun" in processes.log(folder)
    assert [path.name for path in sorted(little_disk.iterdir())] == ["00_x4_small.bmp"]
    assert all(map(processes.whole, little_disk.iterdir()))


def test_rights(folder: Path, small_model: Path) -> None:
    """What may not be read or written fails by name, before any work; the rest is done."""
    for place in ("in", "in/locked", "in/secret"):
        processes.draw_batch(folder / place, 1, side=8)
    (folder / "in/secret/00.png").chmod(0)
    (folder / "in/locked").chmod(0)
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    (folder / "fixed").mkdir(mode=0o555)
    (folder / "model.safetensors").write_bytes(small_model.read_bytes())
    command = ["run", "in", "-r", "--model", "model.safetensors", "-q", "-o"]
    nobody = 65534 if os.getuid() == 0 else None  # for root, rights mean nothing
    with open_to_all(folder.parents):
        assert processes.end(processes.start([*command, "out"], folder, user=nobody)) == 3
        assert processes.end(processes.start([*command, "fixed"], folder, user=nobody)) == 3
    (folder / "in/locked").chmod(0o755)
    log = processes.log(folder)
    assert log.count("failed: in/locked: cannot be read: Permission denied") == 2
    assert "failed: in/secret/00.png: cannot be read: Permission denied" in log
    assert [path.name for path in (folder / "out").rglob("*.png")] == ["00_x4_model.png"]
    assert "fixed/00_x4_model.png: cannot be written: no right to write in" in log
    assert not list((folder / "fixed").iterdir())


@contextmanager
def open_to_all(folders: Iterable[Path]) -> Iterator[None]:
    """Lets every user pass through the test's own folders."""
    modes = {path: path.stat().st_mode for path in folders if path.stat().st_uid == os.getuid() and path.name}
    for path, mode in modes.items():
        path.chmod(mode | 0o055)
    yield
    for path, mode in modes.items():
        path.chmod(mode)
