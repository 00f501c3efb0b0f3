"""One picture's way: read, compute, write; and what it will take, told from its header alone."""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from upscale_cli import __version__
from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.alpha import bleed_colours, upscale_alpha
from upscale_cli.imaging.files import Header, Picture, check_output, read_header, read_picture, write_picture
from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.resize import resize
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.inference.device import (
    PRECISIONS,
    Placement,
    choose_device,
    memory_budget,
    prepare_device,
    reduced_precision,
)
from upscale_cli.inference.precision import reduced_is_faithful
from upscale_cli.inference.tiling import Box, plan_tiles
from upscale_cli.inference.upscaler import Plan, choose_tile, upscale
from upscale_cli.services.loading import Model
from upscale_cli.services.outputs import Target
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest

if TYPE_CHECKING:
    from upscale_cli.inference.network import Network

MAX_OUTPUT_PIXELS = 2**30
"""1.07 gigapixels, 32,768 squared."""
_CHUNK = 1 << 22


class Advance(Protocol):
    """Takes the share of a picture that is done."""

    def advanced(self, share: float) -> None:
        """In [0, 1]."""


@dataclass
class Job:
    """A picture on its way.  network_size and size: (width, height) as the network gives it and as it is written."""

    target: Target
    header: Header
    size: tuple[int, int]
    network_size: tuple[int, int]
    memory: int
    notes: tuple[str, ...] = ()
    picture: Picture | None = None
    report: PictureReport | None = None


class Worker:
    """A model and a request, ready for pictures."""

    def __init__(self, model: Model, request: UpscaleRequest, watch: Advance) -> None:
        self.model = model
        self.request = request
        self._watch = watch
        self.device = choose_device(request.device)
        prepare_device(self.device)
        self.budget = memory_budget(request.memory)
        self._networks: dict[torch.dtype, Network] = {}

    def inspect(self, target: Target) -> Job:
        """Everything that can be refused before the work starts, from the header.  Raises PictureError."""
        source = _bytes_or_path(target)
        header = read_header(source)
        scale = self.model.scale
        size = self.request.output_size(header.width, header.height, scale)
        network_size = scale * header.width, scale * header.height
        name = target.source.name
        for width, height in (size, network_size):
            if width * height > MAX_OUTPUT_PIXELS:
                raise PictureError(
                    f"{name}: {header.width} x {header.height} would become {width} x {height} pixels, more than "
                    f"{MAX_OUTPUT_PIXELS:,}",
                    "cut or shrink it first",
                )
        try:
            notes = check_output(
                target.format, *size, bits=header.bits, has_alpha=header.has_alpha, channels=header.channels,
                quality=self.request.quality,
            )  # fmt: skip
        except UsageError as error:
            raise PictureError(f"{name}: {error.message}", error.hint) from error
        memory = self._memory(header, size, network_size)
        job = Job(target, header, size, network_size, memory, header.notes + notes)
        if isinstance(source, bytes):
            job.picture = read_picture(source)
        return job

    def plan(self, target: Target) -> PictureReport:
        """What would be done, without decoding or computing anything."""
        job = self.inspect(target)
        dtype = self._candidates()[-1]
        tile = self._tile(self._network(dtype), job.header.height, job.header.width)
        report = self._report(job, "planned", dtype, tile)
        label = "/".join(_label(candidate) for candidate in self._candidates())
        return replace(report, precision=label if len(self._candidates()) > 1 else report.precision)

    def read(self, job: Job) -> Job:
        """Decodes the picture."""
        source = job.target.source.path
        if job.picture is None and source is not None:
            job.picture = read_picture(source)
        return job

    def compute(self, job: Job) -> Job:
        """Runs the network; `job.picture` becomes the enlarged picture."""
        picture = job.picture
        assert picture is not None
        started = time.monotonic()
        pixels = picture.pixels
        if picture.alpha is not None:
            pixels = bleed_colours(pixels, picture.alpha)
        enlarged, dtype, tile, remarks = self._enlarge(pixels, picture, job)
        width, height = job.size
        if job.size != job.network_size:
            enlarged = resize(enlarged, width, height)
        if enlarged.dtype != picture.pixels.dtype:
            enlarged = _to_8_bit(enlarged)
        alpha = None if picture.alpha is None else upscale_alpha(picture.alpha, width, height)
        report = self._report(job, "done", dtype, tile)
        notes = tuple(dict.fromkeys((*job.notes, *picture.notes, *remarks)))
        job.report = replace(report, seconds=round(time.monotonic() - started, 3), notes=notes)
        job.picture = replace(picture, pixels=enlarged, alpha=alpha)
        return job

    def write(self, job: Job) -> PictureReport:
        """Writes the picture, whole or not at all."""
        assert job.picture is not None
        assert job.report is not None
        path = job.target.path
        if path is not None:
            _make_folder(path.parent)
        notes = write_picture(
            job.picture,
            path if path is not None else sys.stdout.buffer,
            job.target.format,
            quality=self.request.quality,
            provenance=self._provenance(job.report) if self.request.metadata else None,
            keep_metadata=self.request.metadata,
        )
        if path is None:
            sys.stdout.buffer.flush()
        return replace(job.report, notes=tuple(dict.fromkeys((*job.report.notes, *notes))))

    def _enlarge(self, pixels: Samples, picture: Picture, job: Job) -> tuple[Samples, torch.dtype, int, list[str]]:
        x = to_tensor(pixels).to(self.device)
        dtype = self._precision(x)
        network = self._network(dtype)
        height, width = pixels.shape[:2]
        tile = self._tile(network, height, width)
        # A picture that is resampled afterwards keeps 16 bits until then, so that it is rounded once.
        levels = picture.pixels.dtype if job.size == job.network_size else np.dtype(np.uint16)
        out = np.empty((job.network_size[1], job.network_size[0], pixels.shape[2]), levels)

        def sink(box: Box, part: Tensor) -> None:
            out[box.top : box.bottom, box.left : box.right] = from_tensor(part, levels, picture.channels)

        working = max(self.budget - job.memory, self.budget // 4)
        plan = Plan(tile, working, self.request.self_ensemble)
        remarks = upscale(network, x, sink, plan, self._watch.advanced)
        return out, dtype, tile, remarks

    def _candidates(self) -> list[torch.dtype]:
        """Number formats to choose from, the exact one first."""
        if self.request.precision != "auto":
            return [PRECISIONS[self.request.precision]]
        reduced = reduced_precision(self.device)
        return [torch.float32] if reduced is None else [torch.float32, reduced]

    def _precision(self, x: Tensor) -> torch.dtype:
        candidates = self._candidates()
        if len(candidates) == 1:
            return candidates[0]
        exact, reduced = (self._network(dtype) for dtype in candidates)
        return candidates[1] if reduced_is_faithful(exact, reduced, x) else candidates[0]

    def _network(self, dtype: torch.dtype) -> "Network":
        if dtype not in self._networks:
            placement = Placement(self.device, dtype)
            self._networks[dtype] = self.model.network(placement, projection=self.request.projection)
        return self._networks[dtype]

    def _tile(self, network: "Network", height: int, width: int) -> int:
        if self.request.tile is not None:
            return self.request.tile
        return choose_tile(network, self.device, height, width, self.budget)

    def _memory(self, header: Header, size: tuple[int, int], network_size: tuple[int, int]) -> int:
        """Bytes that the picture holds at its fullest: input as samples and floats, output, and its encoder's copy."""
        colours = (1 if header.channels == "grey" else 3) + header.has_alpha
        sample = header.bits // 8
        given = header.width * header.height * (colours * sample + 12)
        resized = size != network_size
        network = network_size[0] * network_size[1] * colours * (2 if resized else sample)
        written = size[0] * size[1] * colours * sample
        return given + network + (written if resized else 0) + size[0] * size[1] * 4

    def _report(self, job: Job, status: str, dtype: torch.dtype, tile: int) -> PictureReport:
        header, target = job.header, job.target
        halo = self._network(dtype).halo
        working = self._network(dtype).tile_bytes(
            *(min(side, (tile or side) + 2 * halo) for side in (header.height, header.width))
        )
        return PictureReport(
            target.source.name,
            str(target.path) if target.path is not None else "-",
            status,  # type: ignore[arg-type]
            (header.width, header.height),
            job.size,
            self.model.name,
            self.model.sha256,
            _label(dtype),
            tile,
            len(plan_tiles(header.height, header.width, tile, halo)),
            job.memory + working,
            notes=job.notes,
        )

    def _provenance(self, report: PictureReport) -> dict[str, str]:
        size = "x".join(map(str, report.output_size or ()))
        return {
            "Software": f"upscale-cli {__version__}",
            "Model": report.model,
            "Model-SHA256": report.sha256,
            "Scale": f"{self.request.scale_label(self.model.scale)} ({size})",
            "Self-Ensemble": "yes" if self.request.self_ensemble else "no",
            "Precision": report.precision,
            "Projection": "official" if self.request.projection else "off",
        }


def _label(dtype: torch.dtype) -> str:
    return next(name for name, value in PRECISIONS.items() if value is dtype)


def _bytes_or_path(target: Target) -> bytes | Path:
    return target.source.path if target.source.path is not None else sys.stdin.buffer.read()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: cannot be made: {error.strerror}", "choose another -o") from error


def _to_8_bit(samples: Samples) -> Samples:
    """16 bit -> 8 bit, to the nearest level, in place of a whole float picture a few rows at a time."""
    out = np.empty(samples.shape, np.uint8)
    rows = max(1, _CHUNK // max(1, samples.shape[1] * samples.shape[2]))
    for top in range(0, samples.shape[0], rows):
        part = samples[top : top + rows].astype(np.uint32)
        out[top : top + rows] = (part + 128) // 257
    return out
