"""A model and a request, ready for pictures: read, compute, write; and what each would take."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor

from upscale_cli.errors import PictureError, ResourceError
from upscale_cli.imaging.alpha import bleed_colours, upscale_alpha
from upscale_cli.imaging.atomic import abandon_writes, naming_failures, whole_file
from upscale_cli.imaging.files import Picture, read_picture, write_picture
from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.resize import resize
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.inference.device import (
    PRECISIONS,
    Placement,
    choose_device,
    free_memory,
    memory_budget,
    prepare_device,
    reduced_precision,
)
from upscale_cli.inference.plan import Plan, choose_tile
from upscale_cli.inference.precision import reduced_is_faithful
from upscale_cli.inference.staged import held_bytes, spilling
from upscale_cli.inference.tiling import Box, plan_tiles
from upscale_cli.inference.upscaler import upscale
from upscale_cli.services import picture_job
from upscale_cli.services.loading import Model
from upscale_cli.services.outputs import STDOUT, Target
from upscale_cli.services.picture_job import Job
from upscale_cli.services.pipeline import SHARE
from upscale_cli.services.provenance import provenance
from upscale_cli.services.upscale_report import PictureReport, Status, UpscaleRequest

if TYPE_CHECKING:
    from upscale_cli.inference.network import AnyNetwork

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

    budget: bytes that everything together should stay within.
    """

    def __init__(self, model: Model, request: UpscaleRequest, watch: Advance) -> None:
        """Raises UsageError for a device that is not there."""
        self._model = model
        self._request = request
        self._watch = watch
        self._device = choose_device(request.device)
        prepare_device(self._device)
        self.budget = memory_budget(request.memory)
        self._networks: dict[torch.dtype, AnyNetwork] = {}

    def inspect(self, target: Target) -> Job:
        """The job, from the picture's header.  Raises PictureError for one that cannot be done."""
        return picture_job.inspect(target, self._request, self._model.scale)

    def plan(self, target: Target) -> PictureReport:
        """What would be done, without decoding or computing anything.  Raises PictureError as `inspect`."""
        job = self.inspect(target)
        formats = self._number_formats()
        network = self._network(formats[-1])
        tile, notes = self._tile(network, job)
        notes += self._spilling(network, tile, job)
        report = self._report(job, "planned", formats[-1], tile)
        precision = "/".join(map(_label, formats))
        return replace(report, precision=precision, notes=job.notes + notes + self._over_budget(job))

    def read(self, job: Job) -> Job:
        """Decodes the picture.  Raises PictureError for a damaged one, or for want of memory."""
        free = free_memory()
        if job.memory > free:
            name, (width, height) = job.target.source.name, job.size
            raise PictureError(
                f"{name}: {width} x {height} pixels need about {job.memory / _GIB:.1f} GiB, {free / _GIB:.1f} are free",
                "close other programs, or choose a smaller scale",
            )
        job.picture = read_picture(job.source)
        return job

    def compute(self, job: Job) -> Job:
        """Runs the network; `job.picture` becomes the enlarged picture.  Raises PictureError, ResourceError."""
        picture = job.picture
        assert picture is not None
        started = time.monotonic()
        with _naming_shortage(job.target.source.name):
            enlarged, report = self._enlarged(picture, job)
            pixels = _fitted(enlarged, job.size, picture)
            alpha = None if picture.alpha is None else upscale_alpha(picture.alpha, *job.size)
        notes = tuple(dict.fromkeys((*job.notes, *picture.notes, *report.notes, *self._over_budget(job))))
        job.report = replace(report, seconds=round(time.monotonic() - started, 3), notes=notes)
        job.picture = replace(picture, pixels=pixels, alpha=alpha)
        return job

    def write(self, job: Job) -> PictureReport:
        """Writes the picture, whole or not at all.  Raises PictureError, ResourceError."""
        assert job.picture is not None
        assert job.report is not None
        path = job.target.path
        if path is not None:
            _make_folder(path.parent)
        with _standard_output() if path is None else _new_file(path, job.picture) as stream:
            notes = write_picture(
                job.picture,
                stream,
                job.target.format,
                quality=self._request.quality,
                provenance=provenance(self._request, self._model, job.report.precision),
                keep_metadata=self._request.metadata,
            )
        return replace(job.report, notes=tuple(dict.fromkeys((*job.report.notes, *notes))))

    def _enlarged(self, picture: Picture, job: Job) -> tuple[Samples, PictureReport]:
        """The network's pixels, and a report of how they were made."""
        pixels = picture.pixels if picture.alpha is None else bleed_colours(picture.pixels, picture.alpha)
        x = to_tensor(pixels).to(self._device)
        dtype = self._number_format(x)
        network = self._network(dtype)
        tile, notes = self._tile(network, job)
        # A picture that is resampled afterwards keeps 16 bits until then, so that it is rounded once.
        levels = picture.pixels.dtype if job.size == job.network_size else np.dtype(np.uint16)
        enlarged = np.empty((job.network_size[1], job.network_size[0], pixels.shape[2]), levels)

        def sink(box: Box, part: Tensor) -> None:
            enlarged[box.top : box.bottom, box.left : box.right] = from_tensor(part, levels, picture.channels)

        remarks = upscale(network, x, sink, self._plan(tile, job), self._watch.advanced)
        return enlarged, replace(self._report(job, "done", dtype, tile), notes=(*notes, *remarks))

    def _number_formats(self) -> list[torch.dtype]:
        """Those to choose from, the exact one first."""
        if self._request.precision != "auto":
            return [PRECISIONS[self._request.precision]]
        reduced = reduced_precision(self._device)
        return [torch.float32] if reduced is None else [torch.float32, reduced]

    def _number_format(self, x: Tensor) -> torch.dtype:
        formats = self._number_formats()
        if len(formats) == 1:
            return formats[0]
        exact, reduced = map(self._network, formats)
        return formats[1] if reduced_is_faithful(exact, reduced, x) else formats[0]

    def _network(self, dtype: torch.dtype) -> "AnyNetwork":
        if dtype not in self._networks:
            placement = Placement(self._device, dtype)
            self._networks[dtype] = self._model.network(placement, projection=self._request.projection)
        return self._networks[dtype]

    def _tile(self, network: "AnyNetwork", job: Job) -> tuple[int, tuple[str, ...]]:
        """The tile as asked for, or chosen; smaller than asked for, with a note, where memory would not do."""
        height, width = job.header.height, job.header.width
        wanted, chosen = self._request.tile, choose_tile(network, self._device, height, width, self.budget)
        if wanted is None:
            return chosen, ()
        needed = _tile_bytes(network, wanted, job)
        room = self.budget if self._request.memory is not None else max(self.budget, free_memory() - job.memory)
        if self._device.type != "cpu" or needed <= room or 0 < wanted <= chosen:
            return wanted, ()
        name = f"tiles of {wanted} pixels" if wanted else "the whole picture at once"
        return chosen, (f"{name} would need {needed / _GIB:.1f} GiB: done in tiles of {chosen} pixels",)

    def _plan(self, tile: int, job: Job) -> Plan:
        local = self._request.local_statistics
        return Plan(tile, self._working_memory(job), self._request.self_ensemble, local)

    def _spilling(self, network: "AnyNetwork", tile: int, job: Job) -> tuple[str, ...]:
        """What to say where the network keeps more between its tiles than memory holds."""
        plan = self._plan(tile, job)
        held = held_bytes(network, job.header.height, job.header.width, plan)
        return spilling(held, plan, self._device)

    def _memory(self, network: "AnyNetwork", tile: int, job: Job) -> int:
        """Bytes that a picture takes, with the tile and what is kept between tiles."""
        held = held_bytes(network, job.header.height, job.header.width, self._plan(tile, job))
        return job.memory + _tile_bytes(network, tile, job) + (0 if self._spilling(network, tile, job) else held)

    def _working_memory(self, job: Job) -> int:
        """Bytes for the network: what pictures on their way leave of the budget (see `pipeline.SHARE`)."""
        return max(self.budget - max(job.memory, int(SHARE * self.budget)), self.budget // 4)

    def _over_budget(self, job: Job) -> tuple[str, ...]:
        if self._request.memory is None or job.memory <= self.budget:
            return ()
        return (f"takes about {job.memory / _GIB:.1f} GiB, more than --memory allows",)

    def _report(self, job: Job, status: Status, dtype: torch.dtype, tile: int) -> PictureReport:
        header, target, network = job.header, job.target, self._network(dtype)
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
            self._memory(network, tile, job),
        )


def _label(dtype: torch.dtype) -> str:
    return next(name for name, value in PRECISIONS.items() if value is dtype)


def _tile_bytes(network: "AnyNetwork", tile: int, job: Job) -> int:
    sides = (job.header.height, job.header.width)
    return network.tile_bytes(*(min(side, (tile or side) + 2 * network.halo) for side in sides))


def _make_folder(folder: Path) -> None:
    with naming_failures(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)


def stop_writing() -> None:
    """Removes what is half written, and lets nobody begin another file: the process is about to end."""
    # Taken for good. The time-out is for a signal that comes while this very thread has it.
    _beginning.acquire(timeout=1)
    abandon_writes()


@contextmanager
def _new_file(path: Path, picture: Picture) -> Iterator[BinaryIO]:
    """Where a picture is written, whole or not at all."""
    alpha = 0 if picture.alpha is None else picture.alpha.nbytes
    with ExitStack() as stack:
        with _beginning:
            stream = stack.enter_context(whole_file(path, picture.pixels.nbytes + alpha))
        yield stream


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Where a picture is written to a pipe or a file of the shell's.  Raises ResourceError where it takes no more."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
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
    """16 bit -> 8 bit, to the nearest level, a few rows at a time: nothing of the picture's size beside the two."""
    out = np.empty(samples.shape, np.uint8)
    rows = max(1, _CHUNK // (samples.shape[1] * samples.shape[2]))
    for top in range(0, samples.shape[0], rows):
        part = samples[top : top + rows].astype(np.uint32)
        out[top : top + rows] = (part + 128) // 257
    return out
