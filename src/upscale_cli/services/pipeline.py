"""Decode, compute and encode overlapped: while one picture is in the network, the next is read and the last written."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Condition
from typing import Protocol, TypeVar

from upscale_cli.errors import PictureError, ResourceError, UpscaleError, UsageError
from upscale_cli.services.outputs import STDOUT, Target
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_report import PictureReport

SHARE = 0.5
"""The part of the memory budget that pictures on their way may fill together; one alone may take all of it."""
T = TypeVar("T")


class Stages(Protocol):
    """What is done to a picture, in this order; each raises PictureError, UsageError or ResourceError."""

    budget: int
    """Bytes of memory."""

    def inspect(self, target: Target) -> Job:
        """From the header alone: its size and memory, or why it cannot be done."""

    def read(self, job: Job) -> Job:
        """Decode."""

    def compute(self, job: Job) -> Job:
        """Enlarge."""

    def write(self, job: Job) -> PictureReport:
        """Encode."""


class Watch(Protocol):
    """What the pipeline reports to."""

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn in the network."""

    def finished(self, report: PictureReport) -> None:
        """A picture is written or failed; called from the thread that wrote it."""


class _Room:
    """Memory for pictures on their way: whoever wants to read the next one waits until it fits."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._changed = Condition()
        self._closed = False

    def take(self, amount: int) -> None:
        """Returns when `amount` fits beside what is taken, or nothing is."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._taken or self._taken + amount <= self._total)
            self._taken += amount

    def give(self, amount: int) -> None:
        """Takes `amount` back."""
        with self._changed:
            self._taken -= amount
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody needs to wait any longer: the run is over."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class _Batch:
    """The stages with their failures caught: a picture's own fault is reported, what concerns all stops the batch."""

    def __init__(self, stages: Stages, watch: Watch) -> None:
        self.reports: list[PictureReport] = []
        self.stopped: ResourceError | None = None
        self.room = _Room(int(SHARE * stages.budget))
        self._stages = stages
        self._watch = watch

    def read(self, target: Target) -> Job:
        job = self._stages.inspect(target)
        self.room.take(job.memory)
        return self._giving_back(job, self._stages.read)

    def compute(self, job: Job) -> Job:
        return self._giving_back(job, self._stages.compute)

    def write(self, target: Target, job: Job) -> None:
        try:
            report = self.attempt(target, partial(self._stages.write, job))
        finally:
            self.room.give(job.memory)
        if report is not None:
            self._report(report)

    def attempt(self, target: Target, stage: Callable[[], T]) -> T | None:
        """What the stage gives, or None where the picture failed."""
        try:
            return stage()
        except (PictureError, UsageError) as error:
            self._report(failure(target, error))
        except ResourceError as error:
            self.stopped = error
            self._report(failure(target, error))
        return None

    def _giving_back(self, job: Job, stage: Callable[[Job], Job]) -> Job:
        try:
            return stage(job)
        except BaseException:
            self.room.give(job.memory)
            raise

    def _report(self, report: PictureReport) -> None:
        self.reports.append(report)
        self._watch.finished(report)


def run_overlapped(
    stages: Stages, targets: Sequence[Target], watch: Watch
) -> tuple[list[PictureReport], ResourceError | None]:
    """Every target in turn -> reports, and what stopped the batch before its end.

    A PictureError fails its own picture only; a ResourceError ends the batch once the picture before is written, and
    the pictures not begun have no report.  Anything else (a bug) is raised, also then what was begun to be written is.
    """
    batch = _Batch(stages, watch)
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="picture") as pool:
        try:
            _run(batch, pool, targets, watch)
        finally:
            batch.room.close()
    return batch.reports, batch.stopped


def settled_at_once(
    targets: Sequence[Target], notes_of: Callable[[Path], tuple[str, ...]], watch: Watch, *, overwrite: bool
) -> tuple[list[Target], list[PictureReport]]:
    """What is to be done, and reports of what cannot be, and of the outputs that exist and are left alone.

    notes_of: what to say of an existing output.
    """
    waiting: list[Target] = []
    reports: list[PictureReport] = []
    for target in targets:
        if target.fault is not None:
            reports.append(failure(target, target.fault))
        elif target.path is not None and os.path.lexists(target.path) and not overwrite:
            notes = notes_of(target.path) + _missing_gate(target)
            reports.append(PictureReport(target.source.name, str(target.path), "skipped", notes=notes))
        else:
            waiting.append(target)
            continue
        watch.finished(reports[-1])
    return waiting, reports


def _missing_gate(target: Target) -> tuple[str, ...]:
    """What to say where a picture that is left alone has not the second file that is asked for."""
    if target.gate is None or os.path.lexists(target.gate):
        return ()
    return (f"{target.gate} is not written (--overwrite makes both)",)


def failure(target: Target, error: UpscaleError) -> PictureReport:
    """The report of a picture that could not be done; its error names it."""
    output = str(target.path) if target.path is not None else STDOUT
    if not any(name in error.message for name in (target.source.name, output)):
        what = error.message.removeprefix("the input: ")  # how the decoder calls bytes without a file
        error = type(error)(f"{target.source.name}: {what}", error.hint)
    return PictureReport(target.source.name, output, "failed", cause=error)


def _run(batch: _Batch, pool: ThreadPoolExecutor, targets: Sequence[Target], watch: Watch) -> None:
    writing: Future[None] | None = None
    reading = pool.submit(batch.read, targets[0])
    for number, target in enumerate(targets, start=1):
        watch.started(target.source.name, number, len(targets))
        job = batch.attempt(target, reading.result)
        if number < len(targets):
            reading = pool.submit(batch.read, targets[number])
        if job is not None:
            job = batch.attempt(target, partial(batch.compute, job))
        if writing is not None:
            writing.result()
        writing = None if job is None else pool.submit(batch.write, target, job)
        if batch.stopped is not None:
            break
    if writing is not None:
        writing.result()
