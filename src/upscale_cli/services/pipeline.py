"""Decode, compute and encode overlapped: while one picture is in the network, the next is read and the last written."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.services.outputs import Target
from upscale_cli.services.upscale_report import PictureReport
from upscale_cli.services.upscale_worker import Job, Worker


class Watch(Protocol):
    """What the pipeline reports to."""

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""

    def finished(self, report: PictureReport) -> None:
        """A picture is written or failed."""


def run_overlapped(worker: Worker, targets: Sequence[Target], watch: Watch) -> list[PictureReport]:
    """Every target in turn; a PictureError fails its own picture only.

    Pictures overlap only while three of them fit into the memory budget.  Raises what is not one picture's fault, after
    the pictures before it are written.
    """
    reports: list[PictureReport] = []
    pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="picture")
    try:
        _run(worker, targets, watch, pool, reports)
    finally:
        # On an interrupt nobody waits for a decoder or encoder: the process ends, its temporary files are removed.
        pool.shutdown(wait=False, cancel_futures=True)
    return reports


def _run(
    worker: Worker, targets: Sequence[Target], watch: Watch, pool: ThreadPoolExecutor, reports: list[PictureReport]
) -> None:
    def settle(target: Target, written: "Future[PictureReport]") -> None:
        reports.append(_outcome(target, written))
        watch.finished(reports[-1])

    writing: tuple[Target, Future[PictureReport]] | None = None
    reading = pool.submit(_prepare, worker, targets[0])
    for number, target in enumerate(targets, start=1):
        watch.started(target.source.name, number, len(targets))
        job = reading.exception() or reading.result()
        small = isinstance(job, Job) and 3 * job.memory <= worker.budget
        if writing is not None and not small:
            settle(*writing)
            writing = None
        following = targets[number] if number < len(targets) else None
        if following is not None and small:
            reading = pool.submit(_prepare, worker, following)
        result = _computed(worker, target, job)
        if writing is not None:
            settle(*writing)
        writing = (target, pool.submit(worker.write, result) if isinstance(result, Job) else _failed(result))
        if following is not None and not small:
            reading = pool.submit(_prepare, worker, following)
    if writing is not None:
        settle(*writing)


def _prepare(worker: Worker, target: Target) -> Job:
    return worker.read(worker.inspect(target))


def _computed(worker: Worker, target: Target, job: Job | BaseException) -> Job | BaseException:
    if not isinstance(job, Job):
        return job
    try:
        return worker.compute(job)
    except PictureError as error:
        if target.source.name in error.message:
            return error
        return PictureError(f"{target.source.name}: {error.message}", error.hint)


def _failed(error: BaseException) -> "Future[PictureReport]":
    future: Future[PictureReport] = Future()
    future.set_exception(error)
    return future


def _outcome(target: Target, written: "Future[PictureReport]") -> PictureReport:
    try:
        return written.result()
    except (PictureError, UsageError) as error:
        output = str(target.path) if target.path is not None else "-"
        return PictureReport(target.source.name, output, "failed", error=str(error))
