"""The stages of a picture whose network is learned from itself: those of `upscale_worker`, with a model for each."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from upscale_cli.errors import UsageError
from upscale_cli.imaging.alpha import with_bled_colours
from upscale_cli.imaging.atomic import naming_failures
from upscale_cli.imaging.files import Header, Picture, read_header, read_picture
from upscale_cli.imaging.kernel_files import Kernel, write_kernel
from upscale_cli.imaging.quality import psnr, ssim
from upscale_cli.imaging.resize import BICUBIC, resize
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.inference.device import memory_budget
from upscale_cli.methods.dualsr.config import SCALE
from upscale_cli.services import picture_job, upscale_worker
from upscale_cli.services.learning_report import MODEL, LearningReport, LearningRequest, passes_for
from upscale_cli.services.loading import Model
from upscale_cli.services.outputs import Target
from upscale_cli.services.picture_job import Job
from upscale_cli.services.picture_learner import BYTES, BYTES_PER_PIXEL, PictureLearner, forgotten
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest
from upscale_cli.services.upscale_worker import Worker

LEARNING = 0.97
"""The share of the time that learning takes, for the progress."""
_BORDER = 2
"""Pixels of the result that are not measured on each side."""


class Watch(upscale_worker.Advance, Protocol):
    """Who watches the work."""

    def message(self, text: str) -> None:
        """Something the user should know."""


class ZeroshotWorker:
    """Learns, then enlarges (a `services.pipeline.Stages`).  budget: bytes for everything together."""

    name, sha256 = MODEL, ""

    def __init__(self, request: UpscaleRequest, learning: LearningRequest, given: Kernel | None, watch: Watch) -> None:
        """given: the kernel, where it is known.  Raises UsageError for a device that is not there."""
        self._request = request
        self._learning = learning
        self._watch = watch
        self._learner = PictureLearner(learning, request.device, request.precision, given)
        self._workers: dict[Target, Worker] = {}
        self._learned: dict[Target, Path] = {}
        self._promised: Header | None = None  # of the reference
        self._passes = passes_for(request.scale)
        # What is known of every picture's network before it is learned.
        self._sketch = Model(MODEL, MODEL, SCALE**self._passes, {"passes": self._passes})
        self.budget = memory_budget(request.memory)

    def inspect(self, target: Target) -> Job:
        """The job, from the picture's header.  Raises PictureError, UsageError for one that cannot be done."""
        job = picture_job.inspect(target, self._request, self._sketch.scale)
        width, height = job.header.width, job.header.height
        self._learner.check_size(target.source.name, width, height)
        self._check_reference(job)
        job.memory += BYTES + BYTES_PER_PIXEL * width * height
        return job

    def plan(self, target: Target) -> PictureReport:
        """What would be done.  Raises PictureError, UsageError as `inspect`."""
        return Worker(self._sketch, self._request, self._watch, self.budget).planned(self.inspect(target))

    def read(self, job: Job) -> Job:
        """Decodes the picture.  Raises PictureError for a damaged one, or for want of memory."""
        return upscale_worker.read(job)

    def compute(self, job: Job) -> Job:
        """Learns the network and runs it.  Raises PictureError, ResourceError."""
        started, given, name = time.monotonic(), job.picture, job.target.source.name
        assert given is not None
        truth = (
            None
            if self._learning.reference is None
            else read_picture(self._learning.reference, promised=self._promised)
        )
        seen, truth = with_bled_colours(given), None if truth is None else with_bled_colours(truth)
        comparable = job.size == (SCALE * given.width, SCALE * given.height)
        learned = self._learner.learn(name, seen, truth if comparable else None, _Share(self._watch, 0, LEARNING))
        options = {**learned.model.options, "passes": self._passes}
        model = replace(learned.model, scale=self._sketch.scale, options=options)
        if job.gate_path is not None:
            with naming_failures(job.gate_path, 0):
                job.gate_path.parent.mkdir(parents=True, exist_ok=True)
            write_kernel(learned.kernel, job.gate_path)
        worker = Worker(model, self._request, _Share(self._watch, LEARNING, 1), self.budget)
        job = worker.compute(job)
        assert job.report is not None
        assert job.picture is not None
        report = learned.report if truth is None else _measured(learned.report, job.picture, seen, truth)
        notes = tuple(dict.fromkeys((*job.report.notes, *learned.notes)))
        seconds = round(time.monotonic() - started, 3)
        job.report = replace(job.report, learned=report, seconds=seconds, notes=notes)
        self._workers[job.target] = worker
        if learned.state is not None:
            self._learned[job.target] = learned.state
        return job

    def write(self, job: Job) -> PictureReport:
        """Writes the picture, whole or not at all; only then what was learned is let go.

        Raises PictureError, ResourceError.
        """
        report = self._workers.pop(job.target).write(job)
        if (state := self._learned.pop(job.target, None)) is not None:
            forgotten(state)
        return report

    def _check_reference(self, job: Job) -> None:
        reference: Path | None = self._learning.reference
        if reference is None:
            return
        header = read_header(reference)
        if (header.width, header.height) != job.size:
            raise UsageError(
                f"--reference {reference}: {header.width} x {header.height} pixels, the result of "
                f"{job.target.source.name} has {job.size[0]} x {job.size[1]}",
                "name the picture that it was made from",
            )
        self._promised = header


class _Share:
    """A part of the progress."""

    def __init__(self, watch: Watch, first: float, last: float) -> None:
        self._watch = watch
        self._first = first
        self._last = last

    def advanced(self, share: float) -> None:
        """In [0, 1] of this part."""
        self._watch.advanced(self._first + share * (self._last - self._first))

    def message(self, text: str) -> None:
        """Passes it on."""
        self._watch.message(text)


def _measured(report: LearningReport, result: Picture, given: Picture, truth: Picture) -> LearningReport:
    """`report` with PSNR and SSIM on luminance of the whole result, and of bicubic interpolation."""
    original = _levels(truth)
    bicubic = replace(given, pixels=resize(given.pixels, result.width, result.height, BICUBIC))
    ours, other = _levels(result), _levels(bicubic)
    return replace(
        report,
        psnr=psnr(ours, original, on="y", border=_BORDER),
        bicubic_psnr=psnr(other, original, on="y", border=_BORDER),
        ssim=ssim(ours, original, on="y", border=_BORDER),
        bicubic_ssim=ssim(other, original, on="y", border=_BORDER),
    )


def _levels(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3) of 8 bits."""
    return from_tensor(to_tensor(picture.pixels), np.uint8, "rgb").astype(np.uint8)
