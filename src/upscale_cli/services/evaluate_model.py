"""`upscale evaluate`: how near a model's pictures come to the originals, beside bicubic enlargement."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from upscale_cli.errors import PictureError, ResourceError
from upscale_cli.imaging import quality
from upscale_cli.imaging.files import Header, Picture
from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.resize import BICUBIC, resize
from upscale_cli.services.auto_worker import AutoWorker
from upscale_cli.services.choose_model import select
from upscale_cli.services.evaluate_report import EvaluateReport, EvaluateRequest, PictureScores, Score
from upscale_cli.services.evaluation_measures import Measure, find_measures, score
from upscale_cli.services.evaluation_pairs import Pixels, as_rgb8, find_pairs, read_pair, reduction
from upscale_cli.services.inputs import Input
from upscale_cli.services.outputs import Target
from upscale_cli.services.picture_job import Job, memory_of
from upscale_cli.services.upscale_images import worker_for
from upscale_cli.services.upscale_worker import Worker

Compare = Callable[[Input, Samples, Pixels], Score]
"""(whose it is, result, original) -> what was measured.  Raises PictureError."""


class Watch(Protocol):
    """Who watches an evaluation."""

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """A checkpoint comes in."""

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""

    def advanced(self, share: float) -> None:
        """The current picture is upscaled to this share, in [0, 1]."""

    def measured(self, scores: PictureScores) -> None:
        """A picture is measured or failed."""

    def stopped(self, report: EvaluateReport, count: int) -> None:
        """It ends before its time: what was measured of `count` pictures."""

    def message(self, text: str) -> None:
        """Something the user should know."""


def evaluate_model(request: EvaluateRequest, watch: Watch) -> EvaluateReport:
    """Measures the model on every original of `request.hr`; one that cannot be read or measured is reported as such.

    Raises UsageError where the request cannot be right, WeightsError without a model, ResourceError without memory.
    """
    request.check()
    reduce = reduction(request.degrade or "clean")
    selection = select(request.upscale.model, request.upscale.fusion)
    scale = selection.sketch.scale
    pairs = find_pairs(request.hr, request.lr)
    compare = partial(_compared, request.protocol, find_measures(request, partial(watch.downloading, "alexnet")))
    worker = worker_for(selection, request.upscale, watch)
    pictures: list[PictureScores] = []
    reworked = selection.paired or request.upscale.sharpen > 0

    def measured() -> EvaluateReport:
        return EvaluateReport(worker.name, worker.sha256, scale, request.protocol, request.metrics, tuple(pictures))

    try:
        for number, (hr, lr) in enumerate(pairs, 1):
            watch.started(hr.name, number, len(pairs))
            try:
                original, small = read_pair(hr, lr, scale, reduce, request.seed or 0)
                job = _job(hr, small, original, reworked=reworked)
                scores = _scores(worker, job, original, compare)
            except PictureError as error:
                scores = PictureScores(hr.name, cause=error)
            watch.measured(scores)
            pictures.append(scores)
    except (KeyboardInterrupt, ResourceError):
        watch.stopped(measured(), len(pairs))
        raise
    return measured()


def _scores(worker: Worker | AutoWorker, job: Job, original: Pixels, compare: Compare) -> PictureScores:
    """Upscales the job's picture as `upscale run` would, and compares.  Raises PictureError, ResourceError."""
    assert job.picture is not None
    hr = job.target.source
    # Bicubic first: what cannot be compared is refused before the network's long work.
    bicubic = compare(hr, resize(job.picture.pixels, *job.size, BICUBIC), original)
    done = worker.compute(job)
    assert done.picture is not None
    assert done.report is not None
    decided = tuple(part.words for part in (done.report.choice, done.report.fusion) if part is not None)
    return PictureScores(
        hr.name,
        job.size,
        compare(hr, done.picture.pixels, original),
        bicubic,
        done.report.precision,
        done.report.seconds,
        decided + done.report.notes,
    )


def _job(hr: Input, small: Picture, original: Pixels, *, reworked: bool) -> Job:
    """The work of `upscale run` on a picture that is in memory already, and stays there."""
    size = int(original.shape[1]), int(original.shape[0])
    header = Header("PNG", small.width, small.height, small.bits, small.channels, has_alpha=False)
    memory = memory_of(header, size, size, "PNG", reworked=reworked)
    return Job(Target(hr, None, "PNG"), b"", header, size, size, memory, (), small)


def _compared(
    protocol: quality.Protocol, measures: Mapping[str, Measure], hr: Input, result: Samples, original: Pixels
) -> Score:
    try:
        return score(as_rgb8(result), original, protocol, measures)
    except ValueError as error:
        hint = "take it out, make --center-crop, --shift-search or --crop-border smaller, or choose other metrics"
        raise PictureError(f"{hr.name}: {error}", hint) from error
