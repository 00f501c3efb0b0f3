"""`upscale train` as a process: what it prints, how it stops, its exit codes.

Processes are forked from a server that has imported torch once and never used it.
"""

import contextlib
import json
import multiprocessing
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "upscale_cli.cli.app",
        "upscale_cli.cli.train_console",
        "upscale_cli.services.train_method",
        "upscale_cli.methods.srrescycgan.training",
        "torch._dynamo",  # which the first optimiser imports
    ]
)


class Ended(NamedTuple):
    """What a process left."""

    code: int
    out: str
    err: str


class Running:
    """`upscale` in a process of its own, its output in files or, all of it, on `terminal`."""

    def __init__(self, folder: Path, arguments: list[str], largest_file: int = 0, terminal: str = "") -> None:
        self.out, self.err = (folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err"))
        given = arguments, folder, Path(terminal or self.out), Path(terminal or self.err), largest_file
        self.process = processes.Process(target=_upscale, args=given, daemon=True)
        self.process.start()

    def wait_for(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not happened():
            assert self.process.is_alive(), self.err.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> Ended:
        self.process.join(60)
        assert self.process.exitcode is not None
        out, err = (path.read_text() if path.exists() else "" for path in (self.out, self.err))
        assert "Traceback" not in err
        return Ended(self.process.exitcode, out, err)


def _upscale(arguments: list[str], folder: Path, out: Path, err: Path, largest_file: int) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOCTTY, 0o644), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    os.chdir(folder)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    import torch

    from upscale_cli.cli.app import main

    # Both are ignored where the suite runs in the background, or under nohup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    torch.set_num_threads(1)
    sys.argv = ["upscale", *arguments]
    main()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name in "ab":
        coarse = np.random.default_rng(ord(name)).integers(0, 256, (10, 10, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 80), Image.Resampling.BICUBIC).save(tmp_path / "in" / f"{name}.png")
    path = tmp_path / "tiny.toml"
    path.write_text(
        'name = "tiny"\nmethod = "srrescycgan"\nmax_steps = 4\nbatch = 2\npatch = 8\nsave_every = 2\n'
        '[data]\ntrain = "in"\nholdout = ["b"]\n[generator]\nfeatures = 4\nblocks = 1\n'
    )
    return path


def _run(folder: Path, *arguments: str, largest_file: int = 0) -> Ended:
    return Running(folder, list(arguments), largest_file).end()


def _steps(folder: Path) -> int:
    log = folder / "runs/tiny/metrics.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_run_prints_the_checkpoint_and_how_to_use_it(recipe: Path, tmp_path: Path):
    ended = _run(tmp_path, "train", str(recipe))
    assert ended.code == 0
    assert ended.out == "runs/tiny/tiny.safetensors\n"
    assert (tmp_path / "runs/tiny/tiny.safetensors").exists()
    lines = ended.err.splitlines()
    assert lines[0].startswith("pictures: 1 to train on (0.0 megapixels), 1 to validate on")
    validated = next(line for line in lines if line.startswith("step 2/4: l1 "))
    assert "patches/s" in validated
    assert "psnr" in validated
    assert lines[-2].startswith("tiny: 4 steps done, psnr ")
    assert lines[-1] == "to use it: upscale run photo.jpg --model runs/tiny/tiny.safetensors"


def test_the_trained_checkpoint_upscales_a_photo(recipe: Path, tmp_path: Path):
    assert _run(tmp_path, "train", str(recipe), "-o", "mine", "-q").code == 0
    Image.new("RGB", (20, 10), (10, 200, 90)).save(tmp_path / "photo.png")
    ended = _run(tmp_path, "run", "photo.png", "--model", "mine/tiny.safetensors", "-o", "large.png")
    assert ended.code == 0, ended.err
    with Image.open(tmp_path / "large.png") as large:
        assert large.size == (80, 40)


def test_quiet_leaves_only_the_result(recipe: Path, tmp_path: Path):
    ended = _run(tmp_path, "train", str(recipe), "-q", "--set", "max_steps=1", "-o", "here")
    assert ended == Ended(0, "here/tiny.safetensors\n", "")


def test_a_dry_run_tells_and_writes_nothing(recipe: Path, tmp_path: Path):
    ended = _run(tmp_path, "train", str(recipe), "--dry-run", "--device", "cpu", "--max-time", "9m")
    assert ended.code == 0
    assert ended.out.startswith("tiny: srrescycgan (parameters: G_SR ")
    assert ended.out.endswith("), 4 steps of 2 patches of 8x8 pixels in fp32 on cpu, into runs/tiny, for 9m at most\n")
    assert ended.err == "pictures: 1 to train on (0.0 megapixels), 1 to validate on; 0 MB in memory\n"
    assert not (tmp_path / "runs").exists()


def test_the_printed_recipe_trains(recipe: Path, tmp_path: Path):
    printed = _run(tmp_path, "train", "--print-config", "srrescycgan")
    assert (printed.code, printed.err) == (0, "")
    (tmp_path / "mine.toml").write_text(printed.out)
    small = ["data.train=in", "generator.features=4", "generator.blocks=1", "batch=2", "patch=8"]
    ended = _run(tmp_path, "train", "mine.toml", "--dry-run", *(f"--set={override}" for override in small))
    assert ended.code == 0
    assert ended.out.startswith("mine: srrescycgan (parameters: G_SR ")


def test_time_up_saves_and_the_printed_command_goes_on(recipe: Path, tmp_path: Path):
    stopped = _run(tmp_path, "train", str(recipe), "--max-time", "0s", "--set", "seed=5")
    assert stopped.code == 0
    assert stopped.out == "runs/tiny/tiny.safetensors\n"
    told = next(line for line in stopped.err.splitlines() if line.startswith("stopped at step 1 of 4; to go on: "))
    command = shlex.split(told.partition("to go on: ")[2])
    assert command[0] == "upscale"
    resumed = _run(tmp_path, *command[1:])
    assert resumed.code == 0
    assert "going on from step 1\n" in resumed.err
    assert "4 steps done" in resumed.err
    assert _steps(tmp_path) == 4


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_saves_and_stops_at_once(recipe: Path, tmp_path: Path, number: signal.Signals, code: int):
    running = Running(tmp_path, ["train", str(recipe), "--set", "max_steps=100000", "--set", "save_every=100000"])
    running.wait_for(lambda: _steps(tmp_path) > 5)
    assert running.process.pid is not None
    os.kill(running.process.pid, number)
    started = time.monotonic()
    ended = running.end()
    assert time.monotonic() - started < 5
    assert ended.code == code
    done = _steps(tmp_path)
    assert f"stopped at step {done} of 100000; to go on: upscale train" in ended.err
    assert ended.out == "runs/tiny/tiny.safetensors\n"
    more = _run(tmp_path, "train", str(recipe), "--resume", "--set", f"max_steps={done + 1}")
    assert f"going on from step {done}\n" in more.err


def test_ctrl_c_before_the_first_step_is_clean(tmp_path: Path):
    pipe = tmp_path / "recipe.toml"  # reading it waits for a writer, so the moment is known
    os.mkfifo(pipe)
    running = Running(tmp_path, ["train", str(pipe)])
    writers: list[int] = []

    def opened() -> bool:
        with contextlib.suppress(OSError):  # nobody reads yet
            writers.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writers)

    running.wait_for(opened)
    assert running.process.pid is not None
    for _ in range(5):  # one that comes in the middle of opening the recipe may be lost with it
        if running.process.is_alive():
            os.kill(running.process.pid, signal.SIGINT)
            running.process.join(5)
    ended = running.end()
    os.close(writers[0])
    assert ended.code == 130
    assert ended.err == "interrupted before the first step\n"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "CONFIG is missing"),
        (["--print-config", "srrescycgen"], "unknown method 'srrescycgen' (did you mean 'srrescycgan'?)"),
        (["--print-config", "foo"], "unknown method 'foo' (methods: srrescycgan, rwsr, cyclesr)"),
        (["--print-config", "dualsrr"], "unknown method 'dualsrr'"),
        (["none.toml"], "none.toml: cannot be read"),
        (["tiny.toml", "--set", "data.trian=in"], "unknown key 'data.trian', did you mean 'data.train'?"),
        (["tiny.toml", "--set", "lr=1e-4"], "unknown key 'lr', did you mean 'data.lr' or 'optimiser.lr'?"),
        (["tiny.toml", "--set", "max_steps"], "--set max_steps: is not KEY=VALUE"),
        (["tiny.toml", "--save-translations"], "--save-translations: tiny trains no network that translates pictures"),
        (["tiny.toml", "--max-time", "soon"], "--max-time soon: is not a time"),
        (["tiny.toml", "--device", "tpu"], "unknown device 'tpu'"),
        (["tiny.toml", "-o", "in"], "in: is not empty"),
        (["tiny.toml", "--set", "data.train=out", "--set", "batch=0"], "there is no such folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(recipe: Path, tmp_path: Path, arguments: list[str], words: str):
    ended = _run(tmp_path, "train", *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert words in ended.err
    assert not (tmp_path / "runs").exists()


def test_nothing_to_resume_is_exit_6(recipe: Path, tmp_path: Path):
    ended = _run(tmp_path, "train", str(recipe), "--resume")
    assert ended.code == 6
    assert "nothing to resume" in ended.err


def test_resuming_with_another_recipe_is_exit_6(recipe: Path, tmp_path: Path):
    assert _run(tmp_path, "train", str(recipe), "-q", "--set", "max_steps=1").code == 0
    changed = ["train", str(recipe), "--resume", "--set", "max_steps=2", "--set", "batch=3"]
    ended = _run(tmp_path, *changed)
    assert (ended.code, len(ended.err.splitlines())) == (6, 1)
    assert "runs/tiny: its run had other settings: batch 2 -> 3" in ended.err
    assert _run(tmp_path, *changed, "--force-config").code == 0


def test_a_loss_that_is_not_finite_is_exit_6(recipe: Path, tmp_path: Path):
    ended = _run(tmp_path, "train", str(recipe), "--set", "optimiser.lr=1e30", "--set", "max_steps=50")
    assert ended.code == 6
    assert "is not finite at step" in ended.err.splitlines()[-1]
    assert ended.out == ""


def test_a_disk_that_is_full_is_exit_5_and_what_was_saved_stays(recipe: Path, tmp_path: Path):
    assert _run(tmp_path, "train", str(recipe), "--set", "max_steps=2", "-q").code == 0
    before = sorted(path.name for path in (tmp_path / "runs/tiny").glob("step-*"))
    ended = _run(tmp_path, "train", str(recipe), "--resume", largest_file=4096)
    assert ended.code == 5
    assert "disk full" in ended.err
    assert "--resume" in ended.err
    assert sorted(path.name for path in (tmp_path / "runs/tiny").glob("step-*")) == before


def test_on_a_terminal_a_bar_moves(recipe: Path, tmp_path: Path):
    master, slave = pty.openpty()
    running = Running(tmp_path, ["train", str(recipe), "--set", "max_steps=60"], terminal=os.ttyname(slave))
    shown = b""
    while running.process.is_alive():
        shown += _available(master)
    shown += _available(master)
    assert running.end().code == 0
    text = shown.decode(errors="replace")
    assert "patches/s" in text
    assert "\x1b[" in text
    assert "60 steps done" in text


def test_a_terminal_that_is_closed_saves_and_stops(recipe: Path, tmp_path: Path):
    master, slave = pty.openpty()
    arguments = ["train", str(recipe), "--set", "max_steps=100000", "--set", "save_every=100000"]
    running = Running(tmp_path, arguments, terminal=os.ttyname(slave))
    running.wait_for(lambda: bool(_available(master)) and _steps(tmp_path) > 5)
    os.close(slave)
    os.close(master)
    assert running.process.pid is not None
    os.kill(running.process.pid, signal.SIGHUP)  # as the kernel does where the terminal is the process's own
    assert running.end().code == 0
    assert (tmp_path / f"runs/tiny/step-{_steps(tmp_path):08d}.pt").exists()
    assert (tmp_path / "runs/tiny/tiny.safetensors").exists()


def _available(terminal: int) -> bytes:
    import select

    ready, _, _ = select.select([terminal], [], [], 0.05)
    return os.read(terminal, 65536) if ready else b""


def test_help_needs_no_torch():
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "upscale_cli", "train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--max-time" in listed.stdout
    imported = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
    assert not imported & {"torch", "cv2", "numpy", "PIL"}


def test_the_log_is_json_lines(recipe: Path, tmp_path: Path):
    _run(tmp_path, "train", str(recipe), "-q")
    lines = [json.loads(line) for line in (tmp_path / "runs/tiny/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert ["validation" in line for line in lines] == [False, True, False, True]
