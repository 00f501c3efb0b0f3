"""Seconds per step of `upscale zeroshot`, beside a plain PyTorch loop of the paper's step.

python benchmarks/zeroshot.py [--steps 8] [--rounds 3] [--device cpu] [--write docs/benchmarks.md]

All in one process and in turn (A B C A B C ...), medians over all rounds, because machines drift. (a) is
`zeroshot_plain.py`. `--recipe paper` is the same mathematics: it composes the downsampler's one kernel and runs that
instead of its layers; with `--precision bf16` that is the format of the upsampler's gradients. `quick` is the
default's step, of which there are fewer. The picture is a photograph from scikit-image's wheel.
"""

import argparse
import datetime
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray

from page import write
from upscale_cli.inference.device import choose_device, prepare_device
from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.config import RECIPES, AdaptationSettings
from upscale_cli.methods.dualsr.generator import Generator
from upscale_cli.training.learner import Learner
from upscale_cli.training.processes import Processes
from zeroshot_plain import PlainLearning

WARM_UP = 2
"""Steps of each that are not counted."""
PLAIN, QUICK = "(a) plain loop", "--recipe quick"

Step = Callable[[int], float]
"""Does step `number`; its seconds."""


def ours(pixels: NDArray[np.uint8], settings: AdaptationSettings, device: torch.device) -> Step:
    """The program's own step, ready."""
    adaptation = Adaptation(pixels, settings, start=Generator().state_dict())
    learner = Learner(adaptation, settings, Processes(device))

    def step(number: int) -> float:
        begun = time.perf_counter()
        learner.begin(number)
        adaptation.step(number, adaptation.draw(number, range(settings.batch)).to(device), learner.update)
        learner.end()
        return time.perf_counter() - begun

    return step


def measure(steps: int, rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each step that counts."""
    length = {"max_steps": WARM_UP + steps * rounds}
    settings, quick = (RECIPES[name].model_copy(update=length) for name in ("paper", "quick"))
    reduced = settings.model_copy(update={"precision": "bf16"})
    pixels = np.asarray(skimage.data.astronaut(), np.uint8)
    loops: dict[str, Step] = {
        PLAIN: PlainLearning(pixels, settings, device).step,
        "--recipe paper": ours(pixels, settings, device),
        "--recipe paper --precision bf16": ours(pixels, reduced, device),
        QUICK: ours(pixels, quick, device),
    }
    for step in loops.values():
        for number in range(WARM_UP):
            step(number)
    measured: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(rounds):
        for name, step in loops.items():
            first = WARM_UP + turn * steps
            measured[name] += [step(number) for number in range(first, first + steps)]
    return measured


def table(measured: dict[str, list[float]]) -> str:
    """A Markdown table of medians, and how many times as fast as the plain loop the whole course is."""
    medians = {name: statistics.median(seconds) for name, seconds in measured.items()}
    lines = ["| learning by | seconds per step | steps | minutes | times as fast as (a) |", "|---|---|---|---|---|"]
    for name, seconds in medians.items():
        steps = RECIPES["quick" if name == QUICK else "paper"].max_steps
        faster = medians[PLAIN] * RECIPES["paper"].max_steps / (seconds * steps)
        lines.append(f"| {name} | {seconds:.3f} | {steps:,} | {seconds * steps / 60:.1f} | {faster:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Seconds per step of upscale zeroshot.")
    parser.add_argument("--steps", type=int, default=8, help="of each loop in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="a page that the table is put into")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    prepare_device(device, training=True)
    text = table(measure(arguments.steps, arguments.rounds, device))
    where = f"{platform.machine()}, {torch.get_num_threads()} threads" if device.type == "cpu" else str(device)
    text = f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, {where}, torch {torch.__version__}:\n\n{text}"
    print(text)
    if arguments.write:
        write(arguments.write, "zeroshot", text)


if __name__ == "__main__":
    main()
