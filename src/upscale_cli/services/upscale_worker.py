"""A model and a request, ready for pictures: read, compute, write; and what each would take."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
import torch

from upscale_cli.errors import PictureError, ReaderGoneError, ResourceError
from upscale_cli.imaging.alpha import upscale_alpha
from upscale_cli.imaging.atomic import abandon_writes, naming_failures, whole_file
from upscale_cli.imaging.files import Picture, read_picture, write_picture
from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.resize import BICUBIC, resize
from upscale_cli.imaging.sharpening import sharpen
from upscale_cli.inference.device import free_memory
from upscale_cli.inference.fusion import Gate
from upscale_cli.inference.tiling import plan_tiles
from upscale_cli.networks.reduced_precision import PRECISIONS
from upscale_cli.services import picture_job
from upscale_cli.services.enlarger import Enlarger
from upscale_cli.services.loading import Model
from upscale_cli.services.outputs import STDOUT, Target
from upscale_cli.services.picture_job import Job
from upscale_cli.services.provenance import provenance
from upscale_cli.services.upscale_report import PictureReport, Status, UpscaleRequest

_CHUNK = 1 << 22
_GIB = 2**30
_beginning = threading.Lock()
"""Held while a file is made: between a name and its file nobody may count the unfinished ones."""


class Advance(Protocol):
    """Takes the share of a picture that is done."""

    def advanced(self, share: float) -> None:
        """In [0, 1]."""


class Worker:
    """The stages of a picture (a `services.pipeline.Stages`).

    name, sha256: of the model.  budget: bytes that everything together should stay within.
    """

    def __init__(self, model: Model, request: UpscaleRequest, watch: Advance, budget: int | None = None) -> None:
        """budget: None for what `request` allows.  Raises UsageError for a device that is not there."""
        self._model = model
        self.name, self.sha256 = model.name, model.sha256
        self._request = request
        self._watch = watch
        self._enlarger = Enlarger(model, request, budget)
        self.budget = self._enlarger.budget

    def inspect(self, target: Target) -> Job:
        """The job, from the picture's header.  Raises PictureError for one that cannot be done."""
        return picture_job.inspect(target, self._request, self._model.scale, paired=self._model.partner is not None)

    def plan(self, target: Target) -> PictureReport:
        """What would be done, without decoding or computing anything.  Raises PictureError as `inspect`."""
        return self.planned(self.inspect(target))

    def planned(self, job: Job) -> PictureReport:
        """What would be done to the job's picture."""
        enlarger = self._enlarger
        formats = enlarger.number_formats()
        network = enlarger.network(formats[-1])
        tile, notes = enlarger.tile(network, job)
        notes += enlarger.spilling(network, tile, job)
        report = self._report(job, "planned", formats[-1], tile)
        precision, fusion = "/".join(map(_label, formats)), enlarger.planned_fusion(job)
        return replace(report, precision=precision, fusion=fusion, notes=job.notes + notes + self._over_budget(job))

    def read(self, job: Job) -> Job:
        """As the function `read`."""
        return read(job)

    def compute(self, job: Job) -> Job:
        """Runs the network; `job.picture` becomes the enlarged picture.  Raises PictureError, ResourceError."""
        picture = job.picture
        assert picture is not None
        started = time.monotonic()
        with _naming_shortage(job.target.source.name):
            done = self._enlarger.enlarge(job, self._watch.advanced)
            if self._request.sharpen:
                sharpen(done.samples, self._request.sharpen, self._model.scale)
            pixels = _fitted(done.samples, job.size, picture)
            alpha = None if picture.alpha is None else upscale_alpha(picture.alpha, *job.size)
            if job.gate_path is not None and done.gate is not None:
                job.gate = _resized_gate(done.gate, job.size)
        notes = tuple(dict.fromkeys((*job.notes, *picture.notes, *done.notes, *self._over_budget(job))))
        report = self._report(job, "done", done.dtype, done.tile)
        seconds = round(time.monotonic() - started, 3)
        job.report = replace(report, seconds=seconds, fusion=done.fusion, notes=notes)
        job.picture = replace(picture, pixels=pixels, alpha=alpha)
        return job

    def write(self, job: Job) -> PictureReport:
        """Writes the picture, whole or not at all, and before it the gate.  Raises PictureError, ResourceError."""
        assert job.picture is not None
        assert job.report is not None
        about = provenance(self._request, self._model, job.report)
        if job.gate is not None and job.gate_path is not None:
            with _place(job.gate_path, job.gate) as stream:
                write_picture(job.gate, stream, "PNG", provenance=about, keep_metadata=self._request.metadata)
        path = job.target.path
        with _standard_output() if path is None else _place(path, job.picture) as stream:
            notes = write_picture(
                job.picture,
                stream,
                job.target.format,
                quality=self._request.quality,
                provenance=about,
                keep_metadata=self._request.metadata,
            )
        return replace(job.report, notes=tuple(dict.fromkeys((*job.report.notes, *notes))))

    def _over_budget(self, job: Job) -> tuple[str, ...]:
        if self._request.memory is None or job.memory <= self.budget:
            return ()
        return (f"takes about {job.memory / _GIB:.1f} GiB, more than --memory allows",)

    def _report(self, job: Job, status: Status, dtype: torch.dtype, tile: int) -> PictureReport:
        header, target, network = job.header, job.target, self._enlarger.network(dtype)
        return PictureReport(
            target.source.name,
            str(target.path) if target.path is not None else STDOUT,
            status,
            (header.width, header.height),
            job.size,
            self._model.name,
            self._model.sha256,
            _label(dtype),
            tile,
            len(plan_tiles(header.height, header.width, tile, network.halo)),
            self._enlarger.memory(network, tile, job),
            sharpen=self._request.sharpen or None,
            choice=job.choice,
        )


def read(job: Job) -> Job:
    """Decodes the picture.  Raises PictureError for a damaged one, or for want of memory."""
    free = free_memory()
    if job.memory > free:
        name, (width, height) = job.target.source.name, job.size
        raise PictureError(
            f"{name}: {width} x {height} pixels need about {job.memory / _GIB:.1f} GiB, {free / _GIB:.1f} are free",
            "close other programs, or choose a smaller scale",
        )
    job.picture = read_picture(job.source, promised=job.header)
    return job


def _label(dtype: torch.dtype) -> str:
    return next(name for name, value in PRECISIONS.items() if value is dtype)


def _make_folder(folder: Path) -> None:
    with naming_failures(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)


def stop_writing() -> None:
    """Removes what is half written, and lets nobody begin another file: the process is about to end."""
    # Taken for good. The time-out is for a signal that comes while this very thread has it.
    _beginning.acquire(timeout=1)
    abandon_writes()


@contextmanager
def _place(path: Path, picture: Picture) -> Iterator[BinaryIO]:
    """Where a picture is written, whole or not at all; its folder is made where there is none."""
    _make_folder(path.parent)
    alpha = 0 if picture.alpha is None else picture.alpha.nbytes
    with ExitStack() as stack:
        with _beginning:
            stream = stack.enter_context(whole_file(path, picture.pixels.nbytes + alpha))
        yield stream


class _OneWay:
    """A stream that nothing goes back in: a file that is appended to says that one can, and loses the place."""

    def __init__(self, stream: BinaryIO) -> None:
        self.write = stream.write
        self.flush = stream.flush

    def seekable(self) -> bool:
        return False


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Where a picture is written to a pipe or a file of the shell's.

    Raises ReaderGoneError where nobody reads it any longer, ResourceError where it takes no more.
    """
    try:
        yield cast(BinaryIO, _OneWay(sys.stdout.buffer))
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ReaderGoneError(f"standard output: {error.strerror}") from error
    except OSError as error:
        raise ResourceError(f"standard output: {error.strerror}", "name a file with -o") from error


@contextmanager
def _naming_shortage(name: str) -> Iterator[None]:
    """Memory that runs out beside the tiles, which the upscaler makes smaller by itself."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise ResourceError(f"{name}: out of memory", "close other programs, or choose a smaller scale") from error


def _fitted(enlarged: Samples, size: tuple[int, int], picture: Picture) -> Samples:
    """The network's samples in the size and depth of the output."""
    resized = enlarged if enlarged.shape[1::-1] == size else resize(enlarged, *size)
    return resized if resized.dtype == picture.pixels.dtype else _to_8_bit(resized)


def _to_8_bit(samples: Samples) -> Samples:
    """16 bit -> 8 bit, to the nearest level, in the first half of the memory that `samples` had."""
    wide = samples.reshape(-1)
    narrow = wide.view(np.uint8)[: wide.size]
    for start in range(0, wide.size, _CHUNK):
        # What is written lies before what is still to be read.
        narrow[start : start + _CHUNK] = (wide[start : start + _CHUNK].astype(np.uint32) + 128) // 257
    return narrow.reshape(samples.shape)


def _resized_gate(gate: Gate, size: tuple[int, int]) -> Picture:
    """The gate as a grey picture of the output's size (width, height)."""
    if gate.strides == (0, 0):  # one decision for all, of any size
        return Picture(np.broadcast_to(gate[0, 0], (size[1], size[0], 1)))
    return Picture(gate[..., None] if gate.shape[::-1] == size else resize(gate[..., None], *size, BICUBIC))
