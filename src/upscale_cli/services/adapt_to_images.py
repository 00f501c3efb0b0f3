"""`upscale zeroshot`: for each picture a network that learns from it alone, then the way of `upscale run`."""

from pathlib import Path
from typing import TYPE_CHECKING

from upscale_cli.errors import UsageError
from upscale_cli.imaging.formats import format_for
from upscale_cli.imaging.kernel_files import read_kernel
from upscale_cli.methods.dualsr.config import SCALE
from upscale_cli.services.inputs import collect_inputs
from upscale_cli.services.learning_report import MODEL, LearningRequest
from upscale_cli.services.outputs import KERNEL, Naming
from upscale_cli.services.provenance import read_provenance
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
    if learning.reference is not None and len(collect_inputs(request.inputs, recursive=request.recursive)) > 1:
        raise UsageError("--reference is the truth of one picture, and there are several", "run them one by one")

    def prepared() -> "ZeroshotWorker":
        # It imports torch, which is not needed to skip pictures.
        from upscale_cli.services.zeroshot_worker import ZeroshotWorker

        return ZeroshotWorker(request, learning, given, watch)

    return run_pictures(request, _naming(request, learning), lambda path: _notes_on(path, learning), prepared, watch)


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


def _notes_on(existing: Path, learning: LearningRequest) -> tuple[str, ...]:
    """What to say of an output that exists: where it says itself that it was learned otherwise."""
    made = read_provenance(existing).get("Learned", "")
    wanted = learning.settings(learning.all_steps)
    return ("it was learned with other settings: " + made,) if made and made != wanted else ()
