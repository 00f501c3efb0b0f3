"""`upscale run`: pictures in, larger pictures out; one bad picture neither stops the others nor hides."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from upscale_cli.errors import PictureError, ResourceError, UsageError
from upscale_cli.imaging.files import format_for, sweep_temporaries
from upscale_cli.services.inputs import collect_inputs
from upscale_cli.services.loading import Model, describe_model, find_model, load_model
from upscale_cli.services.outputs import STDOUT, Naming, Target, plan_outputs
from upscale_cli.services.pipeline import run_overlapped
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport, UpscaleRequest
from upscale_cli.services.upscale_worker import Worker


class Watch(Protocol):
    """Who watches a run: the command line's progress, or nobody."""

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """A checkpoint comes in."""

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""

    def advanced(self, share: float) -> None:
        """The current picture is done to this share, in [0, 1]."""

    def finished(self, report: PictureReport) -> None:
        """A picture is written, skipped or failed."""

    def message(self, text: str) -> None:
        """Something the user should know."""


def upscale_images(request: UpscaleRequest, watch: Watch) -> UpscaleReport:
    """Does what `request` asks.  Raises UsageError before the first picture where the request cannot be right,
    WeightsError where there is no model, ResourceError where memory or disk is exhausted."""
    started = time.monotonic()
    request.check()
    choice = find_model(request.model)
    sketch = describe_model(choice)
    inputs = collect_inputs(request.inputs, recursive=request.recursive)
    targets = plan_outputs(inputs, _naming(request, sketch))
    waiting, skipped = _already_there(targets, request, watch)
    reports = list(skipped)
    if waiting or request.dry_run:
        model = (
            sketch
            if request.dry_run
            else load_model(choice, offline=request.offline, progress=_download(sketch, watch))
        )
        for note in model.notes:
            watch.message(note)
        worker = Worker(model, request, watch)
        if request.dry_run:
            reports += [_planned(worker, target, watch) for target in waiting]
        else:
            _sweep(waiting)
            reports += run_overlapped(worker, waiting, watch)
    order = {target.source.name: i for i, target in enumerate(targets)}
    reports.sort(key=lambda report: order[report.input])
    return UpscaleReport(tuple(reports), time.monotonic() - started)


def _naming(request: UpscaleRequest, model: Model) -> Naming:
    output_format = format_for(request.format) if request.format else None
    return Naming(request.output, output_format, request.suffix, request.scale_label(model.scale), model.name)


def _already_there(
    targets: Sequence[Target], request: UpscaleRequest, watch: Watch
) -> tuple[list[Target], list[PictureReport]]:
    """What is to be done, and a report of each output that exists and is left alone."""
    waiting: list[Target] = []
    skipped: list[PictureReport] = []
    for target in targets:
        if target.path is not None and target.path.exists() and not request.overwrite:
            report = PictureReport(target.source.name, str(target.path), "skipped")
            skipped.append(report)
            watch.finished(report)
        else:
            waiting.append(target)
    return waiting, skipped


def _planned(worker: Worker, target: Target, watch: Watch) -> PictureReport:
    try:
        report = worker.plan(target)
    except (PictureError, ResourceError, UsageError) as error:
        report = PictureReport(target.source.name, str(target.path or STDOUT), "failed", error=str(error))
    watch.finished(report)
    return report


def _sweep(targets: Sequence[Target]) -> None:
    """Removes what a killed run left behind in the folders that this one writes to."""
    for folder in {target.path.parent for target in targets if target.path is not None}:
        with suppress(OSError):
            sweep_temporaries(folder)


def _download(model: Model, watch: Watch) -> Callable[[int, int | None], None]:
    return lambda done, total: watch.downloading(model.name, done, total)
