"""`upscale evaluate`: parse, call the service, show its report."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upscale_cli.cli import options
from upscale_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:  # imported by the command itself: help and completion stay quick
    from upscale_cli.services.evaluate_report import EvaluateReport, EvaluateRequest

_SMALLEST_CROP = 11
"""SSIM's window."""

_Hr = Annotated[Path, typer.Option("--hr", metavar="DIR", help="The folder of originals.")]
_Lr = Annotated[
    Path | None,
    typer.Option("--lr", metavar="DIR", help="Low-resolution pictures of the same names, suffixes apart."),
]
_Degrade = Annotated[
    str | None,
    typer.Option(
        "--degrade",
        metavar="clean|noise:SIGMA|jpeg:QUALITY|RECIPE",
        help="Without --lr: what is done to the originals, after bicubic reduction or as a recipe of "
        "'upscale degrade' says. Default: clean.",
    ),
]
_Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Another seed than 0: another draw of what each picture has for itself."),
]
_Metrics = Annotated[
    str,
    typer.Option(
        "--metrics",
        metavar="NAME,...",
        help="Of psnr, ssim (higher is better), lpips and niqe (lower is better); lpips fetches AlexNet once.",
    ),
]
_CropBorder = Annotated[
    int, typer.Option("--crop-border", metavar="N", min=0, help="Pixels left out on each side. Default: 4.")
]
_Channel = Annotated[
    str, typer.Option("--channel", metavar="rgb|y", help="All three channels, or luminance as in MATLAB.")
]
_ShiftSearch = Annotated[
    int,
    typer.Option(
        "--shift-search",
        metavar="N",
        min=0,
        help="The result counts where it fits best, up to N pixels off each way (CycleSR: 40). Default: 0.",
    ),
]
_CenterCrop = Annotated[
    int | None,
    typer.Option(
        "--center-crop", metavar="N", min=_SMALLEST_CROP, help="Only the middle N x N pixels count (CycleSR: 60)."
    ),
]
_AsJson = Annotated[bool, typer.Option("--json", help="One JSON line per picture on stdout, and one of the means.")]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only results and errors.")]


def evaluate_command(
    hr: _Hr,
    lr: _Lr = None,
    degrade: _Degrade = None,
    seed: _Seed = None,
    model: options.Model = None,
    metrics: _Metrics = "psnr,ssim",
    crop_border: _CropBorder = 4,
    channel: _Channel = "rgb",
    shift_search: _ShiftSearch = 0,
    center_crop: _CenterCrop = None,
    self_ensemble: options.SelfEnsemble = False,
    sharpen: options.Sharpen = 0.0,
    tile: options.Tile = "auto",
    fuse: options.Fuse = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    offline: options.Offline = False,
    as_json: _AsJson = False,
    quiet: _Quiet = False,
) -> int:
    """Measure a model against originals: PSNR, SSIM, LPIPS and NIQE, beside bicubic's.

    Originals are cut to multiples of the model's scale; the same command gives the same figures.
    """
    if channel not in ("rgb", "y"):
        raise UsageError(f"--channel {channel}: is neither rgb nor y")
    precision, side = options.checked_precision(precision), options.parse_tile(tile)
    from upscale_cli.cli.evaluate_console import evaluate_console
    from upscale_cli.imaging.quality import Protocol
    from upscale_cli.services.evaluate_model import evaluate_model
    from upscale_cli.services.evaluate_report import EvaluateRequest
    from upscale_cli.services.fusion_report import FusionRequest
    from upscale_cli.services.upscale_report import UpscaleRequest
    from upscale_cli.weights.store import offline_requested

    how = UpscaleRequest(
        (), model=model, self_ensemble=self_ensemble, sharpen=sharpen, tile=side, device=device, precision=precision,
        offline=offline_requested(offline), fusion=FusionRequest(fuse),
    )  # fmt: skip
    protocol = Protocol("y" if channel == "y" else "rgb", crop_border, shift_search, center_crop)
    names = tuple(dict.fromkeys(name.strip().lower() for name in metrics.split(",")))
    request = EvaluateRequest(hr, protocol, how, lr, degrade, seed, names)
    with evaluate_console(partial(_heading, request), quiet=quiet, as_json=as_json) as console:
        report = evaluate_model(request, console)
        console.report(report)
    return ExitCode.INPUTS_FAILED if report.failed else ExitCode.DONE


def _heading(request: "EvaluateRequest", report: "EvaluateReport") -> str:
    """By what rules the table came about."""
    words = [f"x{report.scale}, {request.given}", report.protocol.words]
    words += ["self-ensemble"] if request.upscale.self_ensemble else []
    words += [f"sharpened {request.upscale.sharpen:g}"] if request.upscale.sharpen else []
    return ", ".join(words)
