"""Tiny trainings for the tests: made-up pictures, a small network, and real processes that can be killed.

Processes are forked from a server that has imported torch once and never used it.
"""

import multiprocessing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from upscale_cli.training.state import Best
from upscale_cli.training.watch import Progress

TINY = (
    "patch=8",
    "batch=2",
    "precision=fp32",
    "generator.features=4",
    "generator.blocks=1",
    "data.holdout=[]",
    "optimiser.warmup=0",
)
"""Overrides that let a recipe step in milliseconds."""

GAN = (
    "loss.gan=1",
    "loss.gan_lr=1",
    "loss.cyc=10",
    "discriminator.features=2",
    "lr_generator.features=4",
    "lr_generator.blocks=1",
)
"""Overrides that bring in the other networks, small ones."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["upscale_cli.services.train_method", "upscale_cli.methods.srrescycgan.training", "torch._dynamo"]
)


class Silent:
    """A `training.watch.Watch` that keeps what it is told."""

    def __init__(self, stop_at: int = 0) -> None:
        self.messages: list[str] = []
        self.steps: list[Progress] = []
        self.began: tuple[int, int, int] | None = None
        self.best: Best | None = None
        self._stop_at = stop_at

    def begin(self, step: int, max_steps: int, batch: int, best: Best | None) -> None:
        self.began = step, max_steps, batch
        self.best = best

    def step(self, progress: Progress) -> None:
        self.steps.append(progress)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def stop_requested(self) -> bool:
        return bool(self._stop_at) and len(self.steps) + 1 >= self._stop_at


def make_pictures(folder: Path, count: int = 3, side: int = 96) -> Path:
    """`count` smooth colour pictures with some edges, as PNG: a.png, b.png ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        pixels = np.array(coarse.resize((side, side), Image.Resampling.BICUBIC))
        pixels[side // 3 : side // 2, side // 4 : side // 2] = rng.integers(0, 256, 3)
        Image.fromarray(pixels).save(folder / f"{chr(ord('a') + number)}.png")
    return folder


def write_recipe(folder: Path, **values: Any) -> Path:
    """A tiny recipe over pictures made beside it; `values` are put over its top table."""
    make_pictures(folder / "pictures")
    top: Mapping[str, Any] = {
        "name": '"tiny"',
        "method": '"srrescycgan"',
        "max_steps": 6,
        "batch": 2,
        "patch": 8,
        "save_every": 2,
    } | values
    lines = [f"{key} = {value}" for key, value in top.items()]
    lines += ["[data]", 'train = "pictures"', 'holdout = ["c"]', "[generator]", "features = 4", "blocks = 1"]
    path = folder / "tiny.toml"
    path.write_text("\n".join(lines))
    return path


def write_unpaired_recipe(folder: Path, **values: Any) -> Path:
    """A tiny CycleSR recipe, whose CycleGAN is pretrained for two steps; `values` are put over its top table."""
    make_pictures(folder / "good", 5, side=130)
    make_pictures(folder / "real", 4, side=36)
    top: Mapping[str, Any] = {
        "name": '"cycle"',
        "method": '"cyclesr"',
        "max_steps": 6,
        "pretrain_steps": 2,
        "batch": 2,
        "patch": 24,
        "save_every": 2,
    } | values
    lines = [f"{key} = {value}" for key, value in top.items()]
    lines += ["[data]", 'train = "good"', 'lr = "real"', 'holdout = ["c"]']
    lines += ["[generator]", "features = 4", "blocks = 2", "[optimiser]", 'schedule = "linear"', "clip_norm = 50"]
    lines += ["[translation]", "features = 2", "blocks = 1", "judge_features = 2", "noise = true"]
    path = folder / "cycle.toml"
    path.write_text("\n".join(lines))
    return path


def train_here(recipe: Path, output: Path, overrides: Sequence[str] = (), *, resume: bool = False) -> None:
    """What a process runs; one thread, as many of them share few cores."""
    import torch

    from upscale_cli.services.train_method import train_from_recipe

    torch.set_num_threads(1)
    train_from_recipe(recipe, output=output, overrides=overrides, resume=resume, device="cpu", watch=Silent())


def save_for_ever(folder: Path, first: int, saved: Any, slow_pruning: bool) -> None:
    """What a process runs: one checkpoint after another; `saved` is the last one that is known to be on the disk."""
    import time

    import torch

    from upscale_cli.training.state import save_state

    torch.set_num_threads(1)
    if slow_pruning:
        unlink = Path.unlink

        def slow_unlink(path: Path, missing_ok: bool = False) -> None:
            time.sleep(0.03)
            unlink(path, missing_ok)
            time.sleep(0.03)

        Path.unlink = slow_unlink  # type: ignore[method-assign]
    step = first
    while True:
        step += 1
        save_state(folder, step, {"values": torch.full((500_000,), float(step))})
        saved.value = step


def save_where_the_disk_is_full(folder: Path, limit: int, told: Any) -> None:
    """What a process runs: a save that no longer fits; `told` gets the error's exit code and text."""
    import resource
    import signal

    import torch

    from upscale_cli.errors import UpscaleError
    from upscale_cli.training.state import save_state

    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        save_state(folder, 9, {"values": torch.zeros(1_000_000)})
    except UpscaleError as error:
        told.put((int(error.exit_code), str(error)))
    else:
        told.put((0, ""))
