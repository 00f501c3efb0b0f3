"""`upscale degrade`: sharp pictures in, low-resolution ones out, and a manifest of what was drawn for each."""

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from upscale_cli.degradation.manifest import Record, read_manifest
from upscale_cli.degradation.pipeline import DegradationSettings, degrade_and_tell
from upscale_cli.degradation.recipes import find_recipe
from upscale_cli.errors import PictureError, ResourceError, UsageError
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.imaging.files import Header, read_header, read_picture
from upscale_cli.imaging.formats import FORMATS
from upscale_cli.services.degraded_files import (
    DegradedReport,
    as_rgb8,
    cut,
    notes_on,
    update_manifest,
    write_with_record,
)
from upscale_cli.services.inputs import Input, collect_inputs
from upscale_cli.services.outputs import STDOUT, Naming, Target, plan_outputs
from upscale_cli.services.picture_job import Job
from upscale_cli.services.pipeline import Watch, run_overlapped, settled_at_once
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport

BUDGET = 2**30
"""Bytes for pictures on their way; one alone may take more.  Small: nothing here is quicker with more."""
_FLOATS = 3 * 3 * 8
"""Bytes a low-resolution pixel: noise, light and their sum as floats."""


@dataclass(frozen=True)
class DegradeRequest:
    """The options of `upscale degrade`; its help says what they mean."""

    inputs: tuple[str, ...]
    output: str
    scale: int = 4
    recipe: str = "rwsr"
    seed: int = 0
    recursive: bool = False
    overwrite: bool = False


def degrade_images(request: DegradeRequest, watch: Watch) -> UpscaleReport:
    """Does what `request` asks: PNGs and manifest.jsonl in the folder `output`; the same whatever the pictures' order.

    Raises UsageError before the first picture where the request cannot be right, PictureError or ResourceError where
    the manifest cannot be written.
    """
    started = time.monotonic()
    settings = find_recipe(request.recipe)
    targets = _targets(request)
    folder = Path(request.output)
    read_manifest(folder)  # one that is something else ends it before the first picture
    notes_of = partial(notes_on, _settings_record(request, settings))
    waiting, reports = settled_at_once(targets, notes_of, watch, overwrite=request.overwrite)
    stopped: ResourceError | None = None
    try:
        if waiting:
            for place in {target.path.parent for target in waiting if target.path is not None}:
                with suppress(OSError):
                    sweep_temporaries(place)
            done, stopped = run_overlapped(Degrader(request, settings), waiting, watch)
            reports += done
    finally:
        update_manifest(folder, targets, reports)
    order = {target.source.name: i for i, target in enumerate(targets)}
    reports.sort(key=lambda report: order[report.input])
    return UpscaleReport(tuple(reports), time.monotonic() - started, stopped, len(targets) - len(reports))


class Degrader:
    """The stages of a picture (a `services.pipeline.Stages`)."""

    def __init__(self, request: DegradeRequest, settings: DegradationSettings) -> None:
        self.budget = BUDGET
        self._request = request
        self._settings = settings

    def inspect(self, target: Target) -> Job:
        """From the header: the size.  Raises PictureError for a picture that cannot be read, or is too small."""
        assert target.source.path is not None
        header = read_header(target.source.path)
        size = header.width // self._request.scale, header.height // self._request.scale
        longest = FORMATS["JPEG"].max_side or max(size)
        if not 1 <= min(size) <= max(size) <= longest:
            what = f"{target.source.name}: {header.width} x {header.height} would become {size[0]} x {size[1]} pixels"
            raise PictureError(f"{what}, not 1 to {longest} a side", "choose another --scale, or cut it into parts")
        return Job(target, target.source.path, header, size, size, _memory_of(header, size), header.notes)

    def read(self, job: Job) -> Job:
        """Decodes the picture.  Raises PictureError for a damaged one."""
        job.picture = read_picture(job.source, promised=job.header)
        return job

    def compute(self, job: Job) -> Job:
        """Draws and degrades; `job.picture` becomes the low-resolution picture.  Raises ResourceError."""
        try:
            return self._degraded(job)
        except MemoryError as error:
            raise ResourceError(f"{job.target.source.name}: out of memory", "close other programs") from error

    def write(self, job: Job) -> PictureReport:
        """Writes the picture with its record, whole or not at all.  Raises PictureError, ResourceError."""
        assert job.picture is not None
        assert job.target.path is not None
        assert isinstance(job.report, DegradedReport)
        assert job.report.degradation is not None
        notes = write_with_record(job.picture, job.target.path, job.report.degradation)
        return replace(job.report, notes=(*job.report.notes, *notes))

    def _degraded(self, job: Job) -> Job:
        assert job.picture is not None
        started = time.monotonic()
        picture, notes = as_rgb8(job.picture)
        hr = cut(np.asarray(picture.pixels, np.uint8), self._request.scale)
        rng = generator_for(job.target.source, self._request.seed)
        lr, drawn = degrade_and_tell(hr, self._request.scale, self._settings, rng)
        left_out = [picture.width - hr.shape[1], picture.height - hr.shape[0]]
        sizes = {"hr_size": [hr.shape[1], hr.shape[0]], "cut": left_out, "lr_size": list(job.size)}
        job.report = DegradedReport(
            job.target.source.name,
            str(job.target.path),
            "done",
            (job.header.width, job.header.height),
            job.size,
            seconds=round(time.monotonic() - started, 3),
            notes=tuple(dict.fromkeys((*job.notes, *job.picture.notes, *notes))),
            degradation={**_settings_record(self._request, self._settings), **sizes, **drawn.record()},
        )
        job.picture = replace(picture, pixels=lr)
        return job


def generator_for(source: Input, seed: int) -> np.random.Generator:
    """What the picture is drawn with: decided by `seed` and its name below the folder it was found in, by no other."""
    assert source.path is not None
    name = (source.below / source.path.name).as_posix()
    digest = hashlib.sha256(os.fsencode(name)).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:16], "big")))


def _targets(request: DegradeRequest) -> list[Target]:
    output = request.output
    if output == STDOUT or "{" in output:
        raise UsageError(f"-o {output}: is not a folder", "name the folder of the low-resolution pictures")
    inputs = collect_inputs(request.inputs, recursive=request.recursive)
    for source in inputs:
        if source.path is None:
            raise UsageError("standard input has no name to draw by", "name a file or a folder")
        if os.path.realpath(Path(output) / source.below) == os.path.realpath(source.path.parent):
            raise UsageError(f"-o {output}: {source.name} is there itself", "choose another folder")
    naming = Naming(os.path.join(output, ""), "PNG", "", f"{request.scale}", "", request.overwrite)  # noqa: PTH118
    try:
        return plan_outputs(inputs, naming)
    except UsageError as error:
        raise UsageError(error.message, "choose another -o, or degrade them one by one") from error


def _settings_record(request: DegradeRequest, settings: DegradationSettings) -> Record:
    """settings: a short hash, by which two recipes of one name are told apart."""
    short = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]
    return {"recipe": request.recipe, "settings": short, "scale": request.scale, "seed": request.seed}


def _memory_of(header: Header, size: tuple[int, int]) -> int:
    """Bytes that a picture holds at its fullest: samples as read, as 8-bit RGB, cut and blurred; then its floats."""
    samples = header.width * header.height * (4 * header.bits // 8 + 3 * 3)
    return samples + size[0] * size[1] * _FLOATS
