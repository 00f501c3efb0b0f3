"""`upscale zeroshot`: for each picture a network that learns from it alone, then the way of `upscale run`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.files import read_header
from upscale_cli.imaging.formats import format_for
from upscale_cli.imaging.kernel_files import read_kernel
from upscale_cli.methods.dualsr.config import SCALE
from upscale_cli.services.inputs import collect_inputs
from upscale_cli.services.learning_report import MODEL, LearningRequest, passes_for
from upscale_cli.services.outputs import KERNEL, Naming, plan_outputs
from upscale_cli.services.provenance import made_otherwise, read_provenance
from upscale_cli.services.upscale_images import Watch, run_pictures
from upscale_cli.services.upscale_report import UpscaleReport, UpscaleRequest
from upscale_cli.weights.catalogue import load_catalogue
from upscale_cli.weights.entry import AUTO

if TYPE_CHECKING:
    from upscale_cli.services.zeroshot_worker import ZeroshotWorker


def adapt_to_images(request: UpscaleRequest, learning: LearningRequest, watch: Watch) -> UpscaleReport:
    """Does what both ask.  Raises UsageError before the first picture where they cannot be right."""
    request.check()
    learning.check(SCALE if request.scale is None else request.scale)
    given, notes = (None, ()) if learning.kernel is None or learning.reduction else read_kernel(learning.kernel)
    for note in notes:
        watch.message(note)
    if given is not None and (passes := passes_for(request.scale)) > 1:
        watch.message(f"{learning.kernel}: taken for each of the {passes} halvings")
    naming = _naming(request, learning)
    if learning.reference is not None:
        _check_reference(learning.reference)
    inputs = collect_inputs(request.inputs, recursive=request.recursive) if learning.reference is not None else []
    if len(inputs) > 1 and len(plan_outputs(inputs, naming)) > 1:
        raise UsageError("--reference is the truth of one picture, and there are several", "run them one by one")

    def prepared() -> "ZeroshotWorker":
        # It imports torch, which is not needed to skip pictures.
        from upscale_cli.services.zeroshot_worker import ZeroshotWorker

        return ZeroshotWorker(request, learning, given, watch)

    notes_on = partial(_notes_on, request, learning)
    return run_pictures(request, naming, notes_on, prepared, watch)


def _check_reference(reference: Path) -> None:
    try:
        read_header(reference)
    except PictureError as error:
        raise UsageError(f"--reference {error.message}", error.hint) from error


def _naming(request: UpscaleRequest, learning: LearningRequest) -> Naming:
    return Naming(
        request.output,
        format_for(request.format) if request.format else None,
        request.suffix,
        request.scale_label(SCALE),
        MODEL,
        request.overwrite,
        frozenset(load_catalogue().entries) | {AUTO, MODEL},
        learning.save_kernel,
        KERNEL,
        learning.files,
    )


def _notes_on(request: UpscaleRequest, learning: LearningRequest, existing: Path) -> tuple[str, ...]:
    """What to say of an output that exists: where it says itself that it was learned or made otherwise."""
    found = read_provenance(existing)
    made, wanted = found.get("Learned", ""), learning.settings(learning.all_steps)
    if made and made != wanted:
        return ("it was learned with other settings: " + made,)
    others = {"Scale": request.scale_label(SCALE), "Self-Ensemble": "yes" if request.self_ensemble else "no"}
    return ("it was made with other settings",) if made_otherwise(existing, others) else ()
