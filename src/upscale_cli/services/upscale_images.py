"""`upscale run`: pictures in, larger pictures out; one bad picture neither stops the others nor hides."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from upscale_cli.errors import PictureError, ResourceError, some
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.imaging.formats import format_for
from upscale_cli.services.choose_model import Selection, select
from upscale_cli.services.inputs import collect_inputs
from upscale_cli.services.learning_report import MODEL as LEARNED
from upscale_cli.services.loading import Model, load_model, load_pair
from upscale_cli.services.outputs import Naming, Target, plan_outputs
from upscale_cli.services.pipeline import Stages, failure, run_overlapped, settled_at_once
from upscale_cli.services.provenance import made_otherwise, provenance, read_provenance, writable
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport, UpscaleRequest
from upscale_cli.weights.catalogue import load_catalogue
from upscale_cli.weights.entry import AUTO

if TYPE_CHECKING:
    from upscale_cli.services.auto_worker import AutoWorker
    from upscale_cli.services.upscale_worker import Worker


class Loading(Protocol):
    """Who watches a model being loaded and at work."""

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """A checkpoint comes in."""

    def advanced(self, share: float) -> None:
        """The current picture is done to this share, in [0, 1]."""

    def message(self, text: str) -> None:
        """Something the user should know."""


class PlanningStages(Stages, Protocol):
    """What does the pictures, or says what it would do."""

    def plan(self, target: Target) -> PictureReport:
        """What would be done.  Raises PictureError, ResourceError."""


class Watch(Loading, Protocol):
    """Who watches a run: the command line's progress, or nobody."""

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""

    def finished(self, report: PictureReport) -> None:
        """A picture is written, skipped or failed; perhaps called from another thread."""


def upscale_images(request: UpscaleRequest, watch: Watch) -> UpscaleReport:
    """Does what `request` asks.  Raises UsageError before the first picture where the request cannot be right,
    WeightsError where there is no model."""
    request.check()
    selection = select(request.model, request.fusion)

    def prepared() -> "Worker | AutoWorker":
        if selection.paired and request.fusion.settings.warning:
            watch.message(request.fusion.settings.warning)
        if request.dry_run:
            _check_files(selection)
        return worker_for(selection, request, watch, planning=request.dry_run)

    naming = _naming(request, selection.sketch)
    return run_pictures(request, naming, partial(_notes_on, request, selection), prepared, watch)


def run_pictures(
    request: UpscaleRequest,
    naming: Naming,
    notes_of: Callable[[Path], tuple[str, ...]],
    prepared: Callable[[], PlanningStages],
    watch: Watch,
) -> UpscaleReport:
    """The way of every run: names, what is skipped, and the rest planned or done.

    notes_of: what to say of an existing output.  prepared: makes what does the pictures, once there is one to do.
    """
    started = time.monotonic()
    inputs = collect_inputs(request.inputs, recursive=request.recursive)
    targets = plan_outputs(inputs, naming)
    kept = {target.source for target in targets}
    if left_out := [source.name for source in inputs if source not in kept]:
        watch.message(f"left out, as outputs of the others: {some(left_out)} (run alone they are done)")
    waiting, reports = settled_at_once(targets, notes_of, watch, overwrite=request.overwrite)
    stopped: ResourceError | None = None
    if waiting and request.dry_run:
        reports += _planned(waiting, prepared(), watch)
    elif waiting:
        done, stopped = _done(waiting, prepared(), watch)
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
        frozenset(load_catalogue().entries) | {AUTO, LEARNED},
        request.fusion.save_gate,
    )


def _notes_on(request: UpscaleRequest, selection: Selection, existing: Path) -> tuple[str, ...]:
    wanted = provenance(request, selection.sketch)
    if selection.automatic:  # the picture decided which model made it, and by that whether it is fused
        pairs = {writable(pair.name): pair for pair in selection.pairs}
        pair = pairs.get(read_provenance(existing).get("Model", ""))
        if request.fusion.given or (pair is not None and pair.partner is not None):
            wanted["Fusion"] = request.fusion.settings.words
    return ("it was made with other settings",) if made_otherwise(existing, wanted) else ()


def _check_files(selection: Selection) -> None:
    """A model in the catalogue is taken at its word, a file is looked into.  Raises WeightsError."""
    for pair in selection.pairs:
        for choice in (pair.model, pair.partner):
            if isinstance(choice, Path):
                load_model(choice, offline=True)


def _planned(targets: Sequence[Target], worker: PlanningStages, watch: Watch) -> list[PictureReport]:
    """Reports of what would be done."""
    reports = []
    for target in targets:
        try:
            report = worker.plan(target)
        except (PictureError, ResourceError) as error:
            report = failure(target, error)
        watch.finished(report)
        reports.append(report)
    return reports


def worker_for(
    selection: Selection, request: UpscaleRequest, watch: Loading, *, planning: bool = False
) -> "Worker | AutoWorker":
    """What does the pictures; with `planning` it needs no tensors.  Raises WeightsError, ResourceError."""
    # They import torch, which is not needed to skip pictures.
    from upscale_cli.services.auto_worker import AutoWorker
    from upscale_cli.services.upscale_worker import Worker

    if selection.automatic:
        return AutoWorker(selection, request, watch, planning=planning)
    if planning:
        return Worker(selection.sketch, request, watch)
    (pair,) = selection.pairs
    model = load_pair(pair.model, pair.partner, offline=request.offline, progress=watch.downloading)
    for note in model.notes:
        watch.message(note)
    return Worker(model, request, watch)


def _done(
    targets: Sequence[Target], worker: PlanningStages, watch: Watch
) -> tuple[list[PictureReport], ResourceError | None]:
    for folder in {path.parent for target in targets for path in (target.path, target.gate) if path is not None}:
        with suppress(OSError):
            sweep_temporaries(folder)
    return run_overlapped(worker, targets, watch)
