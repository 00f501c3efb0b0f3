"""Steps per second of `upscale train`, beside a plain PyTorch loop of the same step, and how long each waits for data.

python benchmarks/training.py [--steps 12] [--rounds 3] [--data FOLDER] [--write docs/benchmarks.md]

SRResCycGAN's supervised step (L1 + TV) by both in turn (A B A B ...), each time in a process of its own; medians over
all rounds, because machines drift. Network, losses, degradation, optimiser and running average are the same. (a) is
`plain_loop.py`: float32, default layout, pictures decoded for every sample. Ours has a bfloat16 body, channels last and
pictures in memory. Both have two threads or processes that draw batches ahead.
"""

import argparse
import datetime
import multiprocessing
import platform
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from PIL import Image

import plain_loop
from page import write
from plain_loop import Step
from upscale_cli.inference.device import choose_device
from upscale_cli.services.train_method import train_from_recipe
from upscale_cli.training.state import Best
from upscale_cli.training.watch import Progress

WARM_UP = 3
"""Steps of each process that are not counted: memory is claimed, the first batches are drawn."""
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
"""Those of scikit-image that its wheel holds."""


class Recorder:
    """A `training.watch.Watch` that keeps how long each step took."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def begin(self, step: int, max_steps: int, batch: int, best: Best | None) -> None:
        """Nothing to keep."""

    def step(self, progress: Progress) -> None:
        """One step's times."""
        self.steps.append(Step(progress.seconds, progress.waited))

    def message(self, text: str) -> None:
        """Nothing to keep."""

    def stop_requested(self) -> bool:
        """It runs to its end."""
        return False


def ours(recipe: Path, device: str) -> list[Step]:
    """A run of the program."""
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        train_from_recipe(recipe, output=Path(folder), device=device, watch=recorder)
    return recorder.steps


def plain(recipe: Path, device: str) -> list[Step]:
    """A run of the plain loop."""
    return plain_loop.train(recipe, choose_device(device))


def measure(recipe: Path, rounds: int, device: str) -> dict[str, list[Step]]:
    """The steps that count, of every round."""
    loops: dict[str, Callable[[Path, str], list[Step]]] = {"(a) plain loop": plain, "upscale train": ours}
    measured: dict[str, list[Step]] = {name: [] for name in loops}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for _ in range(rounds):
            for name, loop in loops.items():
                steps = processes.submit(loop, recipe, device).result()
                measured[name] += steps[WARM_UP:-1]  # the last one of ours saves its state
    return measured


def table(measured: dict[str, list[Step]], conditions: str) -> str:
    """The measured table in Markdown."""
    lines = [
        f"Measured {datetime.date.today()} on {platform.processor() or platform.machine()}, {torch.get_num_threads()} "
        f"threads, torch {torch.__version__}: {conditions}, medians.",
        "",
        "| loop | s/step | steps/s | times (a) | waiting for data |",
        "|---|---|---|---|---|",
    ]
    medians = {name: statistics.median(step.seconds for step in steps) for name, steps in measured.items()}
    base = next(iter(medians.values()))
    for name, steps in measured.items():
        waiting = sum(step.waited for step in steps) / sum(step.seconds for step in steps)
        seconds = medians[name]
        lines.append(f"| {name} | {seconds:.3g} | {1 / seconds:.3g} | {base / seconds:.2f} | {waiting:.1%} |")
    return "\n".join(lines)


def write_photographs(folder: Path) -> None:
    """scikit-image's as PNG."""
    import skimage.data

    for name in PHOTOGRAPHS:
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")


def write_recipe(path: Path, data: Path, steps: int, batch: int, patch: int) -> None:
    """What both loops train."""
    length = WARM_UP + steps + 1
    path.write_text(
        f'name = "benchmark"\nmethod = "srrescycgan"\nmax_steps = {length}\nsave_every = {length}\n'
        f'batch = {batch}\npatch = {patch}\nprecision = "bf16"\n'
        f'[data]\ntrain = "{data.resolve().as_posix()}"\nworkers = 2\n[loss]\nl1 = 10.0\ntv = 1.0\n',
        encoding="utf-8",
    )


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="steps that are counted, of each loop in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=32, help="low-resolution pixels a side")
    parser.add_argument("--data", type=Path, help="folder of pictures; default: those of scikit-image")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="a page with the markers, such as docs/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        recipe, pictures = Path(name) / "recipe.toml", Path(name) / "pictures"
        if arguments.data is None:
            pictures.mkdir()
            write_photographs(pictures)
        write_recipe(recipe, arguments.data or pictures, arguments.steps, arguments.batch, arguments.patch)
        measured = measure(recipe, arguments.rounds, arguments.device)
    typed = shlex.join(["python", "benchmarks/training.py", *sys.argv[1:]])
    shape = f"{arguments.batch} patches of {arguments.patch}x{arguments.patch} a step"
    text = table(measured, f"`{typed}`, {shape} on {choose_device(arguments.device)}, {arguments.rounds} rounds")
    print(text)
    if arguments.write:
        write(arguments.write, "training", text)


if __name__ == "__main__":
    main()
