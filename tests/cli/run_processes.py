"""`upscale` in processes of its own, quickly: forked from one that has imported everything, but started nothing."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
from PIL import Image

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["upscale_cli.cli.app", "upscale_cli.cli.console", "upscale_cli.services.upscale_worker"]
)


def start(
    arguments: Sequence[str], folder: Path, *, user: int | None = None, stdout: str | None = None
) -> ForkServerProcess:
    """`upscale ARGUMENTS` in `folder`; what it prints lands in `log` beside the folder, or in the file `stdout`."""
    process = _CONTEXT.Process(target=_main, args=(list(arguments), folder, dict(os.environ), user, stdout))
    process.start()
    return process


def end(process: ForkServerProcess, seconds: float = 60) -> int | None:
    """Its exit code, negative for a signal that killed it."""
    process.join(seconds)
    return process.exitcode


def log(folder: Path) -> str:
    """What every process started in `folder` has printed."""
    return (folder.parent / "log").read_text()


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def draw_batch(folder: Path, count: int, side: int = 40) -> list[Path]:
    """`count` pictures that take a moment each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


def whole(path: Path) -> bool:
    """Whether the picture decodes to its end."""
    with Image.open(path) as image:
        image.load()
    return True


def _main(
    arguments: list[str], folder: Path, environment: dict[str, str], user: int | None, stdout: str | None
) -> None:
    import torch

    from upscale_cli.cli.app import main

    output = os.open(folder.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 2)
    os.dup2(output if stdout is None else os.open(stdout, os.O_WRONLY), 1)
    os.chdir(folder)
    os.environ.clear()  # what the first test to start one had set is in there
    os.environ.update(environment)
    if user is not None:
        Image.init()  # what is imported later may be out of the user's reach
        os.setgid(user)
        os.setuid(user)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    main(arguments)
