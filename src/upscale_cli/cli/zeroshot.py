"""`upscale zeroshot`: parse, call the service, show its report."""

from pathlib import Path
from typing import Annotated

import typer

from upscale_cli.cli import options
from upscale_cli.cli.interrupt import how_to_go_on, leave_at_once_when_interrupted
from upscale_cli.cli.run import check_stdout, exit_code, parse_memory

_LEARNING = "Learning"
"""The panel of --help for what is learned."""

_Scale = Annotated[
    float,
    typer.Option(
        "-s",
        "--scale",
        help="By how much, up to 8; x4 and x8 in two and three passes, others resampled. Default: 2.",
    ),
]
_Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="quick|paper",
        help="quick: go on from a network that has learned from others; paper: DualSR as published, from nothing, "
        "which takes far longer.",
        rich_help_panel=_LEARNING,
    ),
]
_Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        help="How long each network learns. Default: 100, or the paper's 3000.",
        rich_help_panel=_LEARNING,
    ),
]
_Seed = Annotated[
    int,
    typer.Option(
        "--seed", help="Another seed, other first weights and patches. Default: 0.", rich_help_panel=_LEARNING
    ),
]
_Kernel = Annotated[
    Path | None,
    typer.Option(
        "--kernel",
        metavar="FILE|NAME",
        help="The kernel that halved the picture (x4: each time), where it is known: PNG, .npy or .mat, or one of box, "
        "bilinear, bicubic and lanczos.",
        rich_help_panel=_LEARNING,
    ),
]
_SaveKernel = Annotated[
    str | None,
    typer.Option(
        "--save-kernel",
        metavar="PATH",
        help="Write the estimated kernel: a .png, .npy or .mat, a folder/, or a template like '{stem}_kernel.npy'.",
        rich_help_panel=_LEARNING,
    ),
]
_Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        metavar="FILE",
        help="What the result should be: PSNR and SSIM are shown, nothing is learned from it.",
        rich_help_panel=_LEARNING,
    ),
]
_MaxTime = Annotated[
    str | None,
    typer.Option(
        "--max-time",
        metavar="TIME",
        help="For each picture, as in 10m; then what was learned is used.",
        rich_help_panel=_LEARNING,
    ),
]
_Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on where the same command was interrupted or, with --overwrite, ran out of time.",
        rich_help_panel=_LEARNING,
    ),
]
_Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="|".join(options.PRECISIONS),
        help="Of the enlargement, as in upscale run. bf16 also rounds gradients while learning, which auto does with "
        "quick and not with paper.",
    ),
]
_Suffix = Annotated[str | None, typer.Option("--suffix", help="Behind the name, instead of _x2_dualsr.")]


def zeroshot_command(
    inputs: options.Inputs,
    output: options.Output = None,
    scale: _Scale = 2.0,
    recipe: _Recipe = "quick",
    steps: _Steps = None,
    seed: _Seed = 0,
    kernel: _Kernel = None,
    save_kernel: _SaveKernel = None,
    reference: _Reference = None,
    max_time: _MaxTime = None,
    resume: _Resume = False,
    self_ensemble: options.SelfEnsemble = False,
    tile: options.Tile = "auto",
    memory: options.Memory = None,
    device: options.Device = "auto",
    precision: _Precision = "auto",
    output_format: options.Format = None,
    quality: options.Quality = None,
    suffix: _Suffix = None,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    metadata: options.Metadata = True,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Upscale each blurred picture with a network that is fitted to it. Else as 'upscale run'."""
    from upscale_cli.cli.console import run_console

    going_on = f"{how_to_go_on(overwrite=False)} with --resume"
    leave_at_once_when_interrupted(going_on)
    if output == "-" or (output is None and "-" in inputs):
        check_stdout(as_json=as_json, dry_run=dry_run)
    precision, tile_side = options.checked_precision(precision), options.parse_tile(tile)
    max_memory = None if memory is None else parse_memory(memory)
    max_seconds = None if max_time is None else options.parse_seconds(max_time)
    with run_console(quiet=quiet, verbose=verbose, as_json=as_json) as console:
        from upscale_cli.services.adapt_to_images import adapt_to_images
        from upscale_cli.services.learning_report import LearningRequest
        from upscale_cli.services.upscale_report import UpscaleRequest

        request = UpscaleRequest(
            inputs=tuple(inputs), output=output, scale=scale, self_ensemble=self_ensemble, device=device,
            format=output_format, quality=quality, suffix=suffix, recursive=recursive, overwrite=overwrite,
            dry_run=dry_run, metadata=metadata, offline=True, precision=precision,
            tile=tile_side, memory=max_memory,
        )  # fmt: skip
        learning = LearningRequest(recipe, steps, seed, kernel, save_kernel, reference, max_seconds, resume)
        report = adapt_to_images(request, learning, console)
        console.summary(report)
    return exit_code(report)
