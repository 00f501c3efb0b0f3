"""The one training loop: draw, step, average, validate, save. A method gives only what `Trainable` asks for."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from upscale_cli.errors import PictureError, ResourceError, TrainingStateError, WeightsError
from upscale_cli.training.course import Course
from upscale_cli.training.datasets import Batch, drawn_ahead
from upscale_cli.training.learner import LOWER_RATE, Learner
from upscale_cli.training.metrics_log import MetricsLog
from upscale_cli.training.processes import Processes
from upscale_cli.training.settings import BEST_NAME
from upscale_cli.training.state import (
    AFTER_MENDING,
    Best,
    load_newest,
    naming_faults,
    save_pictures,
    save_slim_state,
    save_state,
)
from upscale_cli.training.tensorboard import TensorBoardLog
from upscale_cli.training.trainable import Trainable, Translating, Validation
from upscale_cli.training.watch import Observer, Progress, Watch

BEST = f"{BEST_NAME}.safetensors"
"""The checkpoint of the best validation so far, in the run's folder."""
TRANSLATIONS = "translations"
"""The folder of pictures of `Translating` ones, in the run's folder."""


@dataclass(frozen=True)
class TrainingReport:
    """How a run ended.

    exported: the checkpoint for `upscale run`.  finished: False where it was stopped first.
    validation: the last one of this session ({} for none).  best: the best of the run, whose checkpoint is BEST in the
    run's folder; None without validation.
    """

    step: int
    exported: Path
    finished: bool
    validation: Mapping[str, float]
    best: Best | None


def train(
    trainable: Trainable,
    settings: Course,
    folder: Path,
    *,
    resume: bool,
    watch: Watch,
    processes: Processes | None = None,
    slim: Path | None = None,
    translating: Translating | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    taken: Callable[[], None] = lambda: None,
) -> TrainingReport:
    """Runs `trainable` to `settings.max_steps`; everything of the run lies in `folder`, which exists.

    slim: where a state in small parts is written when it ends, if at all.  translating: `trainable` itself where its
    translations are to be kept beside each saved state, in TRANSLATIONS in `folder`.
    taken is called before anything is written, once the state that is gone on from has proved to fit.
    should_stop is asked after each step, like `watch`; a True, in any of the processes, saves and returns.
    Raises TrainingStateError on a loss, gradient, weight or output that is not finite (the newest checkpoint is older)
    and where there is nothing to resume or it is of another network, ResourceError for a folder that takes no more.
    """
    processes = processes or Processes(torch.device("cpu"))
    learner = Learner(trainable, settings, processes)
    keep = partial(_kept, folder, translating) if processes.first else _nothing
    step, best = _resumed(learner, folder, processes, watch) if resume else (0, None)
    taken()
    if not resume:
        # Saved before the first step, so that a run that was killed early can be resumed like any other.
        keep(0, learner.state(), None)
    validation = Validation()
    patches = settings.batch * processes.count
    watch.begin(step, settings.max_steps, patches, best)
    samples = processes.samples(settings.batch)
    draws = drawn_ahead(lambda s: trainable.draw(s, samples), step, settings.max_steps, settings.workers)
    with contextlib.closing(draws), _observers(folder, step, patches, processes) as observers:
        clock = _Clock()
        for batch in clock.waiting_for(draws):
            losses = _stepped(trainable, learner, step, batch.to(processes.device))
            step += 1
            stop = processes.agreed(should_stop() or watch.stop_requested())
            due = step % settings.save_every == 0 or step == settings.max_steps
            if due or stop:
                learner.require_finite()
            if due and processes.first:
                validation, best = _judged(trainable, learner, folder, step, best)
            progress = _progress(step, learner.rate, losses, clock, validation if due else None)
            for observer in observers:  # before the state: what is written beyond it is dropped by a resumed run
                observer.write(progress)
            if due or stop:
                keep(step, learner.state(), best)
            watch.step(progress)
            if stop:
                break
    exported = folder / f"{settings.name}.safetensors"
    if processes.first:
        _export(trainable, learner, exported, step)
        if slim is not None:
            save_slim_state(slim, step, learner.slim_state(), best)
    return TrainingReport(step, exported, step >= settings.max_steps, validation.figures, best)


class _Clock:
    """How long a step took, and how much of that was waiting for its batch."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._before = time.monotonic()

    def waiting_for(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches; the time until each is there counts as waited."""
        source = iter(batches)
        while True:
            begun = time.monotonic()
            batch = next(source, None)
            self._waited = time.monotonic() - begun
            if batch is None:
                return
            yield batch

    def lap(self) -> tuple[float, float]:
        """Seconds since the last call, and those of them that were waited."""
        now = time.monotonic()
        seconds, self._before = now - self._before, now
        return seconds, self._waited


@contextlib.contextmanager
def _observers(folder: Path, step: int, patches: int, processes: Processes) -> Iterator[list[Observer]]:
    """Who writes the run's figures down; closed at the end, also of a run that fails."""
    if not processes.first:
        yield []
        return
    with contextlib.ExitStack() as closing:
        observers: list[Observer] = [
            MetricsLog(folder / "metrics.jsonl", after=step),
            TensorBoardLog(folder / "tensorboard", after=step, batch=patches),
        ]
        for observer in observers:
            closing.callback(observer.close)
        yield observers


def _resumed(learner: Learner, folder: Path, processes: Processes, watch: Watch) -> tuple[int, Best | None]:
    saved = load_newest(folder, watch.message, learner.restore)
    if saved.slim:
        watch.message("going on from a slim state: discriminators are rounded and their optimisers begin anew")
    if (before := saved.state.get("processes", 1)) != processes.count:
        watch.message(
            f"going on with another number of processes, {processes.count} instead of {before}: other batches"
        )
    # Where its checkpoint did not come along with a state, the best one is another.
    return saved.step, saved.best if (folder / BEST).exists() else None


def _stepped(trainable: Trainable, learner: Learner, step: int, batch: Batch) -> Mapping[str, float]:
    """One step's losses."""
    learner.begin(step)
    trainable.step(step, batch, learner.update)
    return learner.end()


def _judged(
    trainable: Trainable, learner: Learner, folder: Path, step: int, best: Best | None
) -> tuple[Validation, Best | None]:
    """The validation after `step`, and the best one so far, whose checkpoint is written where it is this one."""
    validation = _validated(trainable, learner, step)
    best = _better(best, step, validation.figures)
    if best is not None and best.step == step:
        _export(trainable, learner, folder / BEST, step)
    return validation, best


def _validated(trainable: Trainable, learner: Learner, step: int) -> Validation:
    try:
        return trainable.validate(learner.average)
    except PictureError as error:
        raise TrainingStateError(f"validation after step {step}: {error.message}", LOWER_RATE) from error


def _export(trainable: Trainable, learner: Learner, path: Path, step: int) -> None:
    try:
        with naming_faults(path, 0):
            trainable.export(learner.average, path, step)
    except WeightsError as error:
        raise ResourceError(error.message, AFTER_MENDING) from error


def _better(best: Best | None, step: int, figures: Mapping[str, float]) -> Best | None:
    """The better one of `best` and this step, by its first figure."""
    if not figures:
        return best
    name, value = next(iter(figures.items()))
    return Best(step, name, value) if best is None or value > best.value else best


def _progress(
    step: int, rate: float, losses: Mapping[str, float], clock: _Clock, validation: Validation | None
) -> Progress:
    """What is told of a step; validation: where there was one after it."""
    seconds, waited = clock.lap()
    if validation is None:
        return Progress(step, rate, losses, seconds, None, {}, waited)
    return Progress(step, rate, losses, seconds, validation.figures, validation.samples, waited)


def _kept(
    folder: Path, translating: Translating | None, step: int, state: Mapping[str, Any], best: Best | None
) -> None:
    """Saves the state, and pictures of what it has learned to translate."""
    save_state(folder, step, state, best)
    if translating is not None and step:
        save_pictures(folder / TRANSLATIONS / f"step-{step:08d}", translating.translations())


def _nothing(*_: object) -> None:
    """What the other processes do where the first one saves."""
