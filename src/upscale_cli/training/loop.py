"""The one training loop: draw, step, average, validate, save. A method gives only what `Trainable` asks for."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from upscale_cli.errors import TrainingStateError
from upscale_cli.training.datasets import Batch
from upscale_cli.training.metrics_log import MetricsLog
from upscale_cli.training.schedule import learning_rate
from upscale_cli.training.settings import RecipeSettings
from upscale_cli.training.state import load_newest, save_state


class Trainable(Protocol):
    """What a method offers to be trained: `prepare(settings)` of its `training.py` returns one."""

    network: nn.Module
    """What is trained, averaged and exported."""

    def draw(self, step: int) -> Batch:
        """The batch of this step, the same whenever it is asked for."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the objective, scalars; their sum is minimised."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures of merit of `network` on held-out pictures ({} where there are none)."""

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """Writes the network as a checkpoint that `upscale run --model` takes."""


@dataclass(frozen=True)
class Progress:
    """One step's report to whoever watches."""

    step: int
    max_steps: int
    losses: Mapping[str, float]
    lr: float
    seconds: float
    validation: Mapping[str, float] | None = None


@dataclass(frozen=True)
class TrainingReport:
    """How a run ended. exported: the checkpoint for `upscale run`; finished: False where time ran out first."""

    step: int
    exported: Path
    finished: bool
    validation: Mapping[str, float]


class Watch(Protocol):
    """Who watches a run: the command line's live view, or nobody."""

    def step(self, progress: Progress) -> None:
        """After each step."""

    def message(self, text: str) -> None:
        """Something a person should read."""


def train(
    trainable: Trainable,
    settings: RecipeSettings,
    folder: Path,
    *,
    resume: bool,
    watch: Watch,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingReport:
    """Runs `trainable` to `settings.max_steps`; everything of the run lies in `folder`.

    should_stop is asked after each step; a True saves and returns.  Raises TrainingStateError on a non-finite loss (the
    newest checkpoint is from before it) and where there is nothing to resume.
    """
    network = trainable.network
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.optimiser.lr, betas=settings.optimiser.betas)
    step = _restore(folder, network, average, optimiser, watch) if resume else 0
    log = MetricsLog(folder / "metrics.jsonl", after=step)
    validation: Mapping[str, float] = {}
    while step < settings.max_steps:
        started = time.monotonic()
        rate = learning_rate(step, settings.max_steps, settings.optimiser)
        losses = _step(trainable, optimiser, settings, step, rate)
        _update_average(average, network, min(settings.ema, (step + 1) / (step + 10)))
        step += 1
        stop = should_stop()
        due = step % settings.save_every == 0 or step == settings.max_steps or stop
        if due:
            save_state(folder, step, _snapshot(step, network, average, optimiser))
            validation = trainable.validate(average)
        progress = Progress(step, settings.max_steps, losses, rate, time.monotonic() - started, validation if due else None)
        log.write(progress)
        watch.step(progress)
        if stop:
            break
    exported = folder / f"{settings.name}.safetensors"
    trainable.export(average, exported, step)
    return TrainingReport(step, exported, step >= settings.max_steps, validation)


def _step(
    trainable: Trainable, optimiser: torch.optim.Optimizer, settings: RecipeSettings, step: int, rate: float
) -> dict[str, float]:
    for group in optimiser.param_groups:
        group["lr"] = rate
    terms = trainable.losses(trainable.draw(step))
    total = torch.stack(list(terms.values())).sum()
    if not math.isfinite(total.item()):
        values = ", ".join(f"{name} {value.item():g}" for name, value in terms.items())
        raise TrainingStateError(f"the loss is not finite at step {step} ({values})", "lower optimiser.lr and --resume")
    optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    if settings.optimiser.clip_norm:
        nn.utils.clip_grad_norm_(trainable.network.parameters(), settings.optimiser.clip_norm)
    optimiser.step()
    return {name: value.item() for name, value in terms.items()} | {"total": total.item()}


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)


def _snapshot(step: int, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, object]:
    # Draws depend on (seed, step) alone: the step is all the random state there is.
    return {
        "step": step,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }


def _restore(
    folder: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, watch: Watch
) -> int:
    state = load_newest(folder, watch.message)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
