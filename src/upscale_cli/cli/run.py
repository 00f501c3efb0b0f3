"""`upscale run`: parse, call the service, show its report."""

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upscale_cli.cli import options
from upscale_cli.cli.interrupt import how_to_go_on, leave_at_once_when_interrupted
from upscale_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from upscale_cli.services.upscale_report import UpscaleReport

_MEMORY = re.compile(r"(\d{1,18}(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_FUSION = "Fusion"
"""The panel of --help for fusion's options."""
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}

_Scale = Annotated[
    float | None,
    typer.Option("-s", "--scale", help="By how much; other than the model's own x4 (dualsr-start: x2) is resampled."),
]
_Width = Annotated[int | None, typer.Option("--width", help="Output width in pixels, instead of a scale.")]
_Height = Annotated[int | None, typer.Option("--height", help="Output height in pixels, instead of a scale.")]
_Projection = Annotated[
    str,
    typer.Option("--projection", metavar="official|off", help="SRResCycGAN's projection by the noise estimate."),
]
_TileStatistics = Annotated[
    str,
    typer.Option(
        "--tile-statistics",
        metavar="exact|local",
        help="exact: channel attention sees the whole picture; local: its own tile only, and how far off that is.",
    ),
]
_FuseWith = Annotated[
    str | None,
    typer.Option(
        "--fuse-with",
        metavar="NAME|FILE",
        help="The second network, for a pair of your own.",
        rich_help_panel=_FUSION,
    ),
]
_FuseAlpha = Annotated[
    float | None,
    typer.Option(
        "--fuse-alpha", metavar="N", help="The first network's weight. Default: 0.6.", rich_help_panel=_FUSION
    ),
]
_FuseBeta = Annotated[
    float | None,
    typer.Option(
        "--fuse-beta", metavar="N", help="The second network's weight. Default: 0.4.", rich_help_panel=_FUSION
    ),
]
_FuseGamma = Annotated[
    float | None,
    typer.Option(
        "--fuse-gamma",
        metavar="N",
        help="A picture is dark where its median luminance is below this, of 255. Default: 64.",
        rich_help_panel=_FUSION,
    ),
]
_FuseLocal = Annotated[
    bool,
    typer.Option(
        "--fuse-local", help="Fuse the dark parts of every picture, not all of dark ones.", rich_help_panel=_FUSION
    ),
]
_SaveGate = Annotated[
    str | None,
    typer.Option(
        "--save-gate",
        metavar="PATH",
        help="Write what was fused: a PNG, a folder/, or a template like '{stem}_gate.png'.",
        rich_help_panel=_FUSION,
    ),
]
_Suffix = Annotated[str | None, typer.Option("--suffix", help="Behind the name, instead of _x4_MODEL.")]


def run_command(
    inputs: options.Inputs,
    output: options.Output = None,
    model: options.Model = None,
    scale: _Scale = None,
    width: _Width = None,
    height: _Height = None,
    self_ensemble: options.SelfEnsemble = False,
    sharpen: options.Sharpen = 0.0,
    projection: _Projection = "official",
    tile: options.Tile = "auto",
    memory: options.Memory = None,
    tile_statistics: _TileStatistics = "exact",
    fuse: options.Fuse = None,
    fuse_with: _FuseWith = None,
    fuse_alpha: _FuseAlpha = None,
    fuse_beta: _FuseBeta = None,
    fuse_gamma: _FuseGamma = None,
    fuse_local: _FuseLocal = False,
    save_gate: _SaveGate = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    output_format: options.Format = None,
    quality: options.Quality = None,
    suffix: _Suffix = None,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    metadata: options.Metadata = True,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Upscale pictures. Existing outputs are left alone; bad pictures are named and the others done."""
    from upscale_cli.cli.console import run_console

    leave_at_once_when_interrupted(how_to_go_on(overwrite=overwrite))
    if output == "-" or (output is None and "-" in inputs):
        check_stdout(as_json=as_json, dry_run=dry_run)
    settings = _checked(
        projection=projection, tile=tile, tile_statistics=tile_statistics, memory=memory, precision=precision
    )
    with run_console(quiet=quiet, verbose=verbose, as_json=as_json) as console:
        from upscale_cli.services.fusion_report import FusionRequest
        from upscale_cli.services.upscale_images import upscale_images
        from upscale_cli.services.upscale_report import UpscaleRequest
        from upscale_cli.weights.store import offline_requested

        request = UpscaleRequest(
            inputs=tuple(inputs), output=output, model=model, scale=scale, width=width, height=height,
            self_ensemble=self_ensemble, sharpen=sharpen, device=device, format=output_format, quality=quality,
            suffix=suffix, recursive=recursive, overwrite=overwrite, dry_run=dry_run, metadata=metadata,
            offline=offline_requested(offline), **settings,
            fusion=FusionRequest(fuse, fuse_with, fuse_alpha, fuse_beta, fuse_gamma, fuse_local, save_gate),
        )  # fmt: skip
        report = upscale_images(request, console)
        console.summary(report)
    return exit_code(report)


def exit_code(report: "UpscaleReport") -> int:
    """What the process tells the shell of a run."""
    if report.stopped is not None:
        return report.stopped.exit_code
    return ExitCode.INPUTS_FAILED if report.failed else ExitCode.DONE


def check_stdout(*, as_json: bool, dry_run: bool) -> None:
    """Can a picture go there, if one will?  Raises UsageError."""
    if dry_run:
        return
    if as_json:
        raise UsageError("--json and the picture would both go to standard output", "name a file with -o")
    if sys.stdout.isatty():
        raise UsageError("the picture would be written to the terminal", "name a file with -o, or redirect: > b.png")


def _checked(*, projection: str, tile: str, tile_statistics: str, memory: str | None, precision: str) -> dict[str, Any]:
    """The options that are words or numbers with units.  Raises UsageError."""
    if projection not in ("official", "off"):
        raise UsageError(f"--projection {projection}: is neither official nor off")
    if tile_statistics not in ("exact", "local"):
        raise UsageError(f"--tile-statistics {tile_statistics}: is neither exact nor local")
    return {
        "projection": projection == "official",
        "precision": options.checked_precision(precision),
        "tile": options.parse_tile(tile),
        "local_statistics": tile_statistics == "local",
        "memory": None if memory is None else parse_memory(memory),
    }


def parse_memory(text: str) -> int:
    """'2G', '1.5GiB', '800m' or bytes -> bytes.  Raises UsageError below 64 MiB, where nothing would run."""
    match = _MEMORY.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if size < 64 * 2**20:
        raise UsageError(f"--memory {text}: is not a size of 64M or more", "as in 800M or 2G")
    return size
