"""`upscale run` as the system meets it: pipes, terminals, signals, kills, full disks, and what it imports."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import run_processes as processes
from PIL import Image

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


def test_damaged_standard_input_and_full_standard_output(folder: Path, small_model: Path) -> None:
    (picture,) = processes.draw_batch(folder, 1, side=8)
    command = [*UPSCALE, "run", "--model", str(small_model)]
    ended = subprocess.run([*command, "-", "-o", "b.png"], input=b"GIF89a", capture_output=True, text=False)
    assert ended.returncode == 3
    assert ended.stderr.startswith(b"failed: standard input: is not a picture")
    with Path("/dev/full").open("wb") as full:
        for more in ([picture.name, "-o", "-"], [picture.name, "--json"]):
            ended = subprocess.run([*command, *more], stdout=full, stderr=subprocess.PIPE)
            assert ended.returncode == 5
            assert ended.stderr.splitlines()[-1].count(b"standard output: No space left on device") == 1
            assert b"Traceback" not in ended.stderr


def test_at_a_terminal(folder: Path, small_model: Path) -> None:
    """stderr a terminal: bars there, the results on stdout all the same; no picture is thrown at a terminal."""
    processes.draw_batch(folder, 2, side=8)
    command = " ".join([*UPSCALE, "run", "--model", str(small_model), ".", "--json"])
    terminal = ["script", "-qec", f"{command} > records", "/dev/null"]
    ended = subprocess.run(terminal, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    records = [json.loads(line) for line in (folder / "records").read_text().splitlines()]
    assert [record["status"] for record in records] == ["done", "done"]
    assert "00.png -> 00_x4_small.png" in ended.stdout
    refused = ["script", "-qec", f"{command.removesuffix(' . --json')} 00.png -o -", "/dev/null"]
    ended = subprocess.run(refused, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert "error: the picture would be written to the terminal" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_point(folder: Path, small_model: Path, number: signal.Signals) -> None:
    """Ended at once and cleanly; the same command goes on, and at the end all is there and whole."""
    pictures = processes.draw_batch(folder / "in", 8)
    command = ["run", "in", "-o", "out", "--model", str(small_model)]
    rng = random.Random(number)
    interrupted = 0
    for _ in range(5):
        process = processes.start(command, folder)
        time.sleep(rng.uniform(0.0, 0.6))
        processes.wait_until(lambda pid=process.pid: not process.is_alive() or catches(pid, number))
        sent = time.monotonic()
        if process.is_alive():
            os.kill(process.pid, number)
        code = processes.end(process)
        assert code in (0, 130), processes.log(folder)
        assert time.monotonic() - sent < 5
        assert not list(folder.rglob(TEMPORARY))
        assert all(map(processes.whole, folder.glob("out/*.png")))
        interrupted += code == 130
    assert interrupted
    assert processes.log(folder).count("interrupted; what is finished stays") == interrupted
    assert "Traceback" not in processes.log(folder)
    assert processes.end(processes.start(command, folder)) == 0
    assert len(list(folder.glob("out/*.png"))) == len(pictures)


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has come so far as to handle the signal; `main` is the first to handle SIGTERM."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16)  # type: ignore[index]
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def test_killed_and_gone_on_with(folder: Path, small_model: Path) -> None:
    """kill -9 at random points of a batch, resumed each time: nothing corrupt, nothing redone, nothing left over."""
    count = 12
    processes.draw_batch(folder / "in", count)
    command = ["run", "in", "-o", "out", "--model", str(small_model), "--json"]
    rng = random.Random(0)
    written: dict[str, int] = {}
    for _ in range(8):
        process = processes.start(command, folder)
        done = len(list(folder.glob("out/*.png")))
        if done < count - 1:
            processes.wait_until(lambda: not process.is_alive() or len(list(folder.glob("out/*.png"))) > done)
            time.sleep(rng.uniform(0, 0.1))
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


@pytest.fixture
def nobody(folder: Path) -> Iterator[dict[str, int]]:
    """Whom to run as, so that a file's rights mean something."""
    if os.getuid() != 0:
        yield {}
        return
    opened = [path for path in folder.parents if path.stat().st_uid == 0 and not path.stat().st_mode & 1]
    modes = {path: path.stat().st_mode for path in opened}
    for path in opened:
        path.chmod(modes[path] | 0o055)
    yield {"user": 65534, "group": 65534}
    for path, mode in modes.items():
        path.chmod(mode)


def test_rights(folder: Path, small_model: Path, nobody: dict[str, int]) -> None:
    """What may not be read or written fails by name, before any work; the rest is done."""
    processes.draw_batch(folder / "in", 1, side=8)
    processes.draw_batch(folder / "in/locked", 1, side=8)
    processes.draw_batch(folder / "in/secret", 1, side=8)
    (folder / "in/secret/00.png").chmod(0)
    (folder / "in/locked").chmod(0)
    for path in (small_model.parent, small_model.parent.parent):
        path.chmod(0o755)
    (folder / "out").mkdir(mode=0o777)
    (folder / "out").chmod(0o777)
    (folder / "fixed").mkdir(mode=0o555)
    command = [*UPSCALE, "run", "in", "-r", "--model", str(small_model), "-q", "-o"]
    try:
        ended = subprocess.run([*command, "out"], cwd=folder, capture_output=True, text=True, **nobody)
        refused = subprocess.run([*command, "fixed"], cwd=folder, capture_output=True, text=True, **nobody)
    finally:
        (folder / "in/locked").chmod(0o755)
    assert ended.returncode == 3, ended.stderr
    assert "failed: in/locked: cannot be read: Permission denied" in ended.stderr
    assert "failed: in/secret/00.png: cannot be read: Permission denied" in ended.stderr
    assert [path.name for path in (folder / "out").rglob("*.png")] == ["00_x4_small.png"]
    assert refused.returncode == 3
    assert "fixed/00_x4_small.png: cannot be written: no right to write in" in refused.stderr
    assert not list((folder / "fixed").iterdir())
