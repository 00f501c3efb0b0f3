"""A phone's picture and the reference camera's on their way to a pair (RWSR, Table 2): compared, made, written."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upscale_cli.degradation.manifest import Record
from upscale_cli.degradation.operations import downsample
from upscale_cli.errors import PictureError, ResourceError
from upscale_cli.imaging.files import Header, Picture, read_header, read_picture
from upscale_cli.imaging.registration import SAME_SCENE, SMALLEST, Registration, register
from upscale_cli.imaging.resize import BICUBIC, resize
from upscale_cli.services import picture_job
from upscale_cli.services.degraded_files import DegradedReport, as_rgb8, cut, record_in, write_with_record
from upscale_cli.services.inputs import Input
from upscale_cli.services.outputs import Target
from upscale_cli.services.phone_pairs import Key, PairRequest, key_of, low_path
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest

if TYPE_CHECKING:
    from upscale_cli.services.upscale_worker import Worker

BUDGET = 2**30
"""Bytes for pictures on their way where no model runs; one alone may take more."""
_COMPARED = 64
"""Bytes a pixel: the phone's picture, both in 8 bits, gradients of both and what their correlation takes."""


@dataclass
class PairJob(Job):
    """The job of the high-resolution picture: `picture` is the reference, then what is written.

    reference: its file, with its header.  phone: the phone's picture, then what is written as the low-resolution one.
    """

    reference: Path = Path()
    reference_header: Header | None = None
    phone: Picture | None = None


class PairWorker:
    """The stages of a pair (a `services.pipeline.Stages`).

    references: by `key_of` the phone's picture.  settings: what every record begins with.  worker: what enlarges the
    reference, None for T1 and T4.
    """

    def __init__(
        self, request: PairRequest, references: Mapping[Key, Input], settings: Record, worker: "Worker | None"
    ) -> None:
        self.budget = worker.budget if worker is not None else BUDGET
        self._request = request
        self._references = references
        self._settings = settings
        self._worker = worker

    def inspect(self, target: Target) -> Job:
        """From the headers.  Raises PictureError for two of different sizes, too small ones, or a place in use."""
        job = self._worker.inspect(target) if self._worker is not None else self._inspected(target)
        reference = self._references[key_of(target.source)].path
        assert reference is not None
        header = read_header(reference)
        size, wanted = (job.header.width, job.header.height), (header.width, header.height)
        if size != wanted:
            raise PictureError(
                f"{target.source.name}: {_words(size)} pixels, but {reference} has {_words(wanted)}",
                "a pair is of one scene in one size",
            )
        smallest = max(SMALLEST, self._request.scale)
        if min(size) < smallest:
            what = f"{target.source.name}: {_words(size)} pixels are too few to be compared and scaled"
            raise PictureError(what, f"{smallest} a side are needed")
        self._check_low_place(target)
        memory = job.memory + size[0] * size[1] * _COMPARED
        job = replace(job, source=reference, memory=memory)
        return PairJob(**vars(job), reference=reference, reference_header=header)

    def read(self, job: Job) -> Job:
        """Decodes both.  Raises PictureError for a damaged one."""
        assert isinstance(job, PairJob)
        assert job.target.source.path is not None
        job.phone = read_picture(job.target.source.path, promised=job.header)
        job.picture = read_picture(job.reference, promised=job.reference_header)
        return job

    def compute(self, job: Job) -> Job:
        """Compares and makes the pair.  Raises PictureError for two that do not match, ResourceError."""
        try:
            return self._made(job)
        except MemoryError as error:
            raise ResourceError(f"{job.target.source.name}: out of memory", "close other programs") from error

    def write(self, job: Job) -> PictureReport:
        """Writes both, each whole or not at all, the high-resolution one last: where it is, the pair is whole.

        Raises PictureError, ResourceError.
        """
        assert isinstance(job, PairJob)
        assert job.picture is not None
        assert job.phone is not None
        assert job.target.path is not None
        assert isinstance(job.report, DegradedReport)
        assert job.report.degradation is not None
        notes = write_with_record(job.phone, low_path(job.target.path, self._request.output), job.report.degradation)
        notes += write_with_record(job.picture, job.target.path, job.report.degradation)
        return replace(job.report, notes=tuple(dict.fromkeys((*job.report.notes, *notes))))

    def _inspected(self, target: Target) -> Job:
        scale = 1 if self._request.way == "T4" else self._request.scale
        return picture_job.inspect(target, UpscaleRequest((), scale=float(scale)), scale)

    def _check_low_place(self, target: Target) -> None:
        assert target.path is not None
        low = low_path(target.path, self._request.output)
        if low.exists() and not self._request.overwrite and record_in(low) is None:
            raise PictureError(f"{low}: exists, and is not of this command", "move it away, or --overwrite it")

    def _made(self, job: Job) -> Job:
        assert isinstance(job, PairJob)
        assert job.picture is not None
        assert job.phone is not None
        started = time.monotonic()
        read = (*job.notes, *job.phone.notes, *job.picture.notes)
        job.phone, phone_notes = as_rgb8(job.phone)
        job.picture, notes = as_rgb8(job.picture)
        found = register(_pixels(job.phone), _pixels(job.picture))
        self._check(found, job)
        report = self._paired_up(job)
        record = {
            **self._settings,
            "hr_size": [job.picture.width, job.picture.height],
            "lr_size": [job.phone.width, job.phone.height],
            "reference": str(job.reference),
            "shift": [round(part, 1) for part in found.shift],
            "correlation": round(found.correlation, 3),
        }
        known = vars(report) | {"seconds": round(time.monotonic() - started, 3)}
        known["notes"] = tuple(dict.fromkeys((*read, *phone_notes, *notes, *report.notes)))
        job.report = DegradedReport(**known, degradation=record)
        return job

    def _check(self, found: Registration, job: PairJob) -> None:
        name, (x, y) = job.target.source.name, found.shift
        if found.correlation < SAME_SCENE:
            raise PictureError(
                f"{name}: does not show what {job.reference} shows: their edges correlate by {found.correlation:.2f}, "
                f"{SAME_SCENE} is needed",
                "take the pair out",
            )
        if max(abs(x), abs(y)) > self._request.max_shift:
            raise PictureError(
                f"{name}: {job.reference} is shifted by {x:.2f}, {y:.2f} pixels against it, "
                f"{self._request.max_shift:g} are allowed",
                "align them, take the pair out, or allow more with --max-shift",
            )

    def _paired_up(self, job: PairJob) -> PictureReport:
        """The two pictures as they are written, and a report of how the high-resolution one was made."""
        assert job.picture is not None
        assert job.phone is not None
        scale = self._request.scale
        size = job.header.width, job.header.height
        if self._worker is not None:
            self._worker.compute(job)
            assert job.report is not None
            return job.report
        if self._request.way == "T4":
            reduced = downsample(cut(_pixels(job.phone), scale), scale, "bicubic")
            job.phone = replace(job.phone, pixels=reduced)
            job.picture = replace(job.picture, pixels=cut(_pixels(job.picture), scale))
        else:
            job.picture = replace(job.picture, pixels=resize(job.picture.pixels, *job.size, BICUBIC))
        made = job.picture.width, job.picture.height
        return PictureReport(job.target.source.name, str(job.target.path), "done", size, made)


def _pixels(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(picture.pixels, np.uint8)


def _words(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
