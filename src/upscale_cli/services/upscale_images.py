"""`upscale run`: pictures in, larger pictures out; one bad picture neither stops the others nor hides."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from upscale_cli.errors import PictureError, ResourceError
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.imaging.formats import format_for
from upscale_cli.services.inputs import collect_inputs
from upscale_cli.services.loading import Model, describe_pair, find_model, find_partner, load_model, load_pair
from upscale_cli.services.outputs import Naming, Target, plan_outputs
from upscale_cli.services.pipeline import failure, run_overlapped, settled_at_once
from upscale_cli.services.provenance import made_otherwise, provenance
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport, UpscaleRequest
from upscale_cli.weights.catalogue import Entry, load_catalogue

Pair = tuple[Entry | Path, Entry | Path | None]
"""The model, and its partner where there is one."""


class Watch(Protocol):
    """Who watches a run: the command line's progress, or nobody."""

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """A checkpoint comes in."""

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""

    def advanced(self, share: float) -> None:
        """The current picture is done to this share, in [0, 1]."""

    def finished(self, report: PictureReport) -> None:
        """A picture is written, skipped or failed; perhaps called from another thread."""

    def message(self, text: str) -> None:
        """Something the user should know."""


def upscale_images(request: UpscaleRequest, watch: Watch) -> UpscaleReport:
    """Does what `request` asks.  Raises UsageError before the first picture where the request cannot be right,
    WeightsError where there is no model."""
    started = time.monotonic()
    request.check()
    choice = find_model(request.model)
    partner = find_partner(choice, request.fusion)
    sketch = describe_pair(choice, partner)
    inputs = collect_inputs(request.inputs, recursive=request.recursive)
    targets = plan_outputs(inputs, _naming(request, sketch))
    if len(targets) < len(inputs):
        watch.message(f"left out: {len(inputs) - len(targets)} pictures that an earlier run made of the others")
    notes_of = partial(_notes_on, request, sketch)
    waiting, reports = settled_at_once(targets, notes_of, watch, overwrite=request.overwrite)
    stopped: ResourceError | None = None
    if waiting and partner is not None and request.fusion.settings.warning:
        watch.message(request.fusion.settings.warning)
    if waiting and request.dry_run:
        reports += _planned(waiting, request, (choice, partner), sketch, watch)
    elif waiting:
        done, stopped = _done(waiting, request, (choice, partner), watch)
        reports += done
    order = {target.source.name: i for i, target in enumerate(targets)}
    reports.sort(key=lambda report: order[report.input])
    return UpscaleReport(tuple(reports), time.monotonic() - started, stopped, len(targets) - len(reports))


def _naming(request: UpscaleRequest, model: Model) -> Naming:
    return Naming(
        request.output,
        format_for(request.format) if request.format else None,
        request.suffix,
        request.scale_label(model.scale),
        model.name,
        request.overwrite,
        frozenset(load_catalogue().entries),
        request.fusion.save_gate,
    )


def _notes_on(request: UpscaleRequest, model: Model, existing: Path) -> tuple[str, ...]:
    other = made_otherwise(existing, provenance(request, model))
    return ("it was made with other settings",) if other else ()


def _planned(
    targets: Sequence[Target], request: UpscaleRequest, pair: Pair, sketch: Model, watch: Watch
) -> list[PictureReport]:
    """Reports of what would be done.  A model in the catalogue is taken at its word, a file is looked into."""
    from upscale_cli.services.upscale_worker import Worker  # imports torch, which is not needed to skip pictures

    for choice in pair:
        if isinstance(choice, Path):
            load_model(choice, offline=True)
    worker = Worker(sketch, request, watch)
    reports = []
    for target in targets:
        try:
            report = worker.plan(target)
        except (PictureError, ResourceError) as error:
            report = failure(target, error)
        watch.finished(report)
        reports.append(report)
    return reports


def _done(
    targets: Sequence[Target], request: UpscaleRequest, pair: Pair, watch: Watch
) -> tuple[list[PictureReport], ResourceError | None]:
    from upscale_cli.services.upscale_worker import Worker

    model = load_pair(*pair, offline=request.offline, progress=watch.downloading)
    for note in model.notes:
        watch.message(note)
    worker = Worker(model, request, watch)
    for folder in {path.parent for target in targets for path in (target.path, target.gate) if path is not None}:
        with suppress(OSError):
            sweep_temporaries(folder)
    return run_overlapped(worker, targets, watch)
