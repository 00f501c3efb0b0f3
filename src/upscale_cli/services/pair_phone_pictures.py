"""`upscale degrade --recipe dped`: what a phone and a better camera saw of one scene -> pairs to train on.

RWSR, section 3.1.2: two pictures of one scale are easier to register than two of different scales.  So the phone's
picture is the low-resolution one as it is, and the camera's is super-resolved.  DPED, the data set of the paper, has
patches of phones and of a camera under the same names in two folders.
"""

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from upscale_cli.degradation.manifest import Record, read_manifest
from upscale_cli.errors import ResourceError
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.services.degraded_files import notes_on, record_in, update_manifest
from upscale_cli.services.loading import Model, describe_pair, find_model, find_partner, load_pair
from upscale_cli.services.outputs import Target
from upscale_cli.services.pair_worker import PairWorker
from upscale_cli.services.phone_pairs import BY_MODEL, PairRequest, find_pairs, low_path
from upscale_cli.services.pipeline import run_overlapped, settled_at_once
from upscale_cli.services.upscale_images import Watch
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport, UpscaleRequest
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.store import offline_requested

if TYPE_CHECKING:
    from upscale_cli.services.upscale_worker import Worker

RECIPE = "dped"
PSNR_ORIENTED = "rwsr-psnr"
"""What T3 takes unless told: "the PSNR-oriented RCAN in Table 1" (section 4.3.2)."""


def pair_phone_pictures(request: PairRequest, watch: Watch) -> UpscaleReport:
    """Does what `request` asks: hr/NAME.png, lr/NAME.png and manifest.jsonl in the folder `output`.

    Raises UsageError before the first picture where the request cannot be right, WeightsError without the model,
    PictureError or ResourceError where the manifest cannot be written.
    """
    started = time.monotonic()
    request.check()
    choice = _choice(request)
    partner = find_partner(choice, UpscaleRequest(()).fusion) if choice is not None else None
    settings = _settings_record(request, describe_pair(choice, partner) if choice is not None else None)
    pairs = find_pairs(request)
    folder = Path(request.output)
    read_manifest(folder)  # one that is something else ends it before the first picture
    half = {target for target in pairs.targets if _is_half(target, request)}
    whole = [target for target in pairs.targets if target not in half]
    waiting, reports = settled_at_once(whole, partial(notes_on, settings), watch, overwrite=request.overwrite)
    waiting += half
    stopped: ResourceError | None = None
    try:
        if waiting:
            worker = _worker(request, choice, partner, watch) if choice is not None else None
            done, stopped = _done(PairWorker(request, pairs.references, settings, worker), request, waiting, watch)
            reports += done
    finally:
        update_manifest(folder, pairs.targets, reports)
    order = {target.source.name: i for i, target in enumerate(pairs.targets)}
    reports.sort(key=lambda report: order[report.input])
    return UpscaleReport(tuple(reports), time.monotonic() - started, stopped, len(pairs.targets) - len(reports))


def _choice(request: PairRequest) -> Entry | Path | None:
    """The model; None for what needs none.  Raises UsageError."""
    if request.way not in BY_MODEL:
        return None
    if request.way == "T3" and request.model is None:
        return find_model(PSNR_ORIENTED)
    return find_model(request.model)


def _settings_record(request: PairRequest, model: Model | None) -> Record:
    """What two runs that give the same pairs have in common."""
    known: Record = {"recipe": RECIPE, "pairs": request.way, "scale": request.scale}
    if model is not None:
        known |= {"model": model.name, "sha256": model.sha256}
        if model.partner is not None:
            known |= {"partner": model.partner.name, "partner_sha256": model.partner.sha256}
    return known


def _is_half(target: Target, request: PairRequest) -> bool:
    """Whether this program's high-resolution picture has lost its partner: then both are made anew."""
    if target.fault is not None or target.path is None or low_path(target.path, request.output).exists():
        return False
    return record_in(target.path) is not None


def _worker(request: PairRequest, choice: Entry | Path, partner: Entry | Path | None, watch: Watch) -> "Worker":
    """What enlarges the references as `upscale run` would.  Raises WeightsError, ResourceError."""
    from upscale_cli.services.upscale_worker import Worker  # imports torch, which T1 and T4 do without

    model = load_pair(choice, partner, offline=offline_requested(False), progress=watch.downloading)
    for note in model.notes:
        watch.message(note)
    return Worker(model, UpscaleRequest((), scale=float(request.scale)), watch)


def _done(
    stages: PairWorker, request: PairRequest, targets: list[Target], watch: Watch
) -> tuple[list[PictureReport], ResourceError | None]:
    for folder in {target.path.parent for target in targets if target.path is not None}:
        for place in (folder, low_path(folder, request.output)):
            with suppress(OSError):
                sweep_temporaries(place)
    return run_overlapped(stages, targets, watch)
