"""The one training loop: draw, step, average, validate, save. A method gives only what `Trainable` asks for."""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from upscale_cli.errors import TrainingStateError
from upscale_cli.training.datasets import Batch, drawn_ahead
from upscale_cli.training.metrics_log import MetricsLog
from upscale_cli.training.schedule import learning_rate
from upscale_cli.training.settings import OptimiserSettings, RecipeSettings
from upscale_cli.training.state import load_newest, save_state
from upscale_cli.training.watch import Progress, Watch

CPU = torch.device("cpu")


class Trainable(Protocol):
    """What a method offers to be trained: `prepare(settings)` of its `training.py` returns one."""

    network: nn.Module
    """What is trained, averaged and exported; the loop puts it on its device."""

    def draw(self, step: int) -> Batch:
        """The batch of this step, on the CPU, the same whenever it is asked for; called from several threads."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted terms of the objective, scalars; their sum is minimised.  batch: on the network's device."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures of merit of `network` on held-out pictures ({} where there are none)."""

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """Writes the network as a checkpoint that `upscale run --model` takes."""


@dataclass(frozen=True)
class TrainingReport:
    """How a run ended.

    exported: the checkpoint for `upscale run`.  finished: False where it was stopped first.
    validation: the last one of this session ({} for none).
    """

    step: int
    exported: Path
    finished: bool
    validation: Mapping[str, float]


def train(
    trainable: Trainable,
    settings: RecipeSettings,
    folder: Path,
    *,
    resume: bool,
    watch: Watch,
    device: torch.device = CPU,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingReport:
    """Runs `trainable` to `settings.max_steps`; everything of the run lies in `folder`, which exists.

    should_stop is asked after each step, like `watch`; a True saves and returns.
    Raises TrainingStateError on a non-finite loss or gradient (the newest checkpoint is from before it) and where there
    is nothing to resume or it is of another network, ResourceError where the folder cannot be written.
    """
    learner = Learner(trainable.network.to(device), settings.optimiser)
    step = _resumed(learner, folder, watch) if resume else _begun(learner, folder)
    log = MetricsLog(folder / "metrics.jsonl", after=step)
    validation: Mapping[str, float] = {}
    watch.begin(step, settings.max_steps, settings.batch)
    before = time.monotonic()
    draws = drawn_ahead(trainable.draw, step, settings.max_steps, settings.data.workers)
    with contextlib.closing(draws) as batches:
        for batch in batches:
            rate = learning_rate(step, settings.max_steps, settings.optimiser)
            losses = learner.learn(trainable.losses(batch.to(device)), rate, step)
            learner.update_average(min(settings.ema, (step + 1) / (step + 10)))
            step += 1
            stop = should_stop() or watch.stop_requested()
            due = step % settings.save_every == 0 or step == settings.max_steps
            if due or stop:
                save_state(folder, step, learner.state(step))
            if due:
                validation = trainable.validate(learner.average)
            now = time.monotonic()
            progress = Progress(step, rate, losses, now - before, validation if due else None)
            before = now
            log.write(progress)
            watch.step(progress)
            if stop:
                break
    exported = folder / f"{settings.name}.safetensors"
    trainable.export(learner.average, exported, step)
    return TrainingReport(step, exported, step >= settings.max_steps, validation)


class Learner:
    """A network, its running average and its optimiser: what a step changes and a checkpoint holds."""

    def __init__(self, network: nn.Module, settings: OptimiserSettings) -> None:
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._optimiser = torch.optim.Adam(network.parameters(), lr=settings.lr, betas=settings.betas)
        self._clip_norm = settings.clip_norm

    def learn(self, terms: Mapping[str, Tensor], rate: float, step: int) -> dict[str, float]:
        """One step down the sum of `terms`; their values and `total`.

        Raises TrainingStateError, with the network as it was, where the sum or its gradient is not finite.
        """
        values = torch.stack(list(terms.values()))
        total = values.sum()
        shown = dict(zip(terms, values.tolist(), strict=True)) | {"total": total.item()}
        if not math.isfinite(shown["total"]):
            raise _not_finite("loss", step, shown)
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if not math.isfinite(norm.item()):
            raise _not_finite("gradient", step, shown)
        if self._clip_norm:
            nn.utils.clip_grads_with_norm_(self.network.parameters(), self._clip_norm, norm)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        return shown

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """average = decay * average + (1 - decay) * network."""
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, latest in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(latest)

    def state(self, step: int) -> dict[str, Any]:
        """What a checkpoint holds."""
        # Draws depend on (seed, step) alone: the step is all the random state there is.
        return {
            "step": step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back to `state`; learning rate and betas stay the recipe's.

        Raises TrainingStateError where it is of another network.
        """
        for part, module in (("network", self.network), ("average", self.average)):
            _check_shapes(module.state_dict(), state.get(part, {}))
            module.load_state_dict(state[part])
        moments = state["optimiser"]["state"]
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})


def _begun(learner: Learner, folder: Path) -> int:
    # Saved before the first step, so that a run that was killed early can be resumed like any other.
    save_state(folder, 0, learner.state(0))
    return 0


def _resumed(learner: Learner, folder: Path, watch: Watch) -> int:
    state = load_newest(folder, watch.message)
    learner.restore(state)
    return int(state["step"])


def _check_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        wanted, given = (str(tuple(side[name].shape)) if name in side else "missing" for side in (expected, found))
        if wanted != given:
            raise TrainingStateError(
                f"the checkpoint is of another network: {name} is {given} there and {wanted} in this recipe",
                "resume with the recipe that it was made by",
            )


def _not_finite(what: str, step: int, shown: Mapping[str, float]) -> TrainingStateError:
    terms = ", ".join(f"{name} {value:g}" for name, value in shown.items())
    return TrainingStateError(
        f"the {what} is not finite at step {step} ({terms})", "lower optimiser.lr and go on with --resume"
    )
