"""`upscale degrade`: parse, call the service, show its report."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from upscale_cli.cli import options
from upscale_cli.cli.interrupt import how_to_go_on
from upscale_cli.errors import ExitCode, UsageError

RECIPES = (
    "rwsr, srrescycgan-noise, srrescycgan-jpeg, dualsr, dualsr-start, ntire17-unknown, ntire18-mild, ntire18-wild, "
    "generic"
)
PAIRS = "dped"
_PAIRS_PANEL = "Pairs of a phone and a better camera (--recipe dped)"

_Output = Annotated[
    str, typer.Option("-o", "--output", metavar="DIR", help="The folder for the pictures and the manifest.")
]
_Inputs = Annotated[list[str] | None, typer.Argument(metavar="[INPUT]...", help="Sharp pictures, folders, globs.")]
_Scale = Annotated[int, typer.Option("-s", "--scale", min=1, max=64, help="By how much smaller.")]
_Recipe = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE.toml",
        help=f"How they are spoiled: {RECIPES}, or a file; {PAIRS}: pairs of two cameras instead.",
    ),
]
_Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Another seed than 0: another draw of what each picture has for itself."),
]
_Lr = Annotated[
    str | None,
    typer.Option("--lr", metavar="DIR", help="The phone's pictures.", rich_help_panel=_PAIRS_PANEL),
]
_Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="DIR",
        help="The same scenes by the better camera, of the same names and sizes.",
        rich_help_panel=_PAIRS_PANEL,
    ),
]
_Pairs = Annotated[
    str | None,
    typer.Option(
        "--pairs",
        metavar="T1|T2|T3|T4",
        help="The reference enlarged by bicubic (T1), by a model (T2, the default), by a PSNR-oriented model (T3); "
        "or as it is, beside the phone's picture reduced (T4).",
        rich_help_panel=_PAIRS_PANEL,
    ),
]
_SrModel = Annotated[
    str | None,
    typer.Option(
        "--sr-model",
        metavar="NAME|FILE",
        help="The model of T2 or T3, as 'upscale run' takes it.",
        autocompletion=options.complete_models,
        rich_help_panel=_PAIRS_PANEL,
    ),
]
_MaxShift = Annotated[
    float | None,
    typer.Option(
        "--max-shift",
        metavar="PIXELS",
        help="Pairs that are shifted by more are refused: 1 unless told.",
        rich_help_panel=_PAIRS_PANEL,
    ),
]


def degrade_command(
    output: _Output,
    inputs: _Inputs = None,
    scale: _Scale = 4,
    recipe: _Recipe = "rwsr",
    seed: _Seed = None,
    lr: _Lr = None,
    reference: _Reference = None,
    pairs: _Pairs = None,
    sr_model: _SrModel = None,
    max_shift: _MaxShift = None,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Spoil sharp pictures as cameras and file formats do: low-resolution PNGs, and a manifest of what was drawn.

    What is drawn depends on the seed and the picture's name alone, with the folders below yours. Existing outputs
    are left alone; bad pictures are named and the others done. With --recipe dped nothing is drawn: pictures of a
    phone and of a better camera become pairs to train on.
    """
    from upscale_cli.cli.console import run_console

    way = {"--pairs": pairs, "--sr-model": sr_model, "--max-shift": max_shift}
    _check(recipe, {"INPUT": inputs, "--seed": seed}, {"--lr": lr, "--reference": reference, **way})
    with run_console(quiet=quiet, verbose=False, as_json=as_json) as console:
        from upscale_cli.services.degrade_images import DegradeRequest, degrade_images
        from upscale_cli.services.pair_phone_pictures import pair_phone_pictures
        from upscale_cli.services.phone_pairs import PairRequest

        try:
            if lr is not None and reference is not None:
                chosen: dict[str, Any] = {"way": pairs, "model": sr_model, "max_shift": max_shift}
                chosen = {name: value for name, value in chosen.items() if value is not None}
                pairing = PairRequest(lr, reference, output, scale, recursive=recursive, overwrite=overwrite, **chosen)
                report = pair_phone_pictures(pairing, console)
            else:
                request = DegradeRequest(tuple(inputs or ()), output, scale, recipe, seed or 0, recursive, overwrite)
                report = degrade_images(request, console)
        except KeyboardInterrupt:
            console.message(f"interrupted; what is finished stays, {how_to_go_on(overwrite=overwrite)}")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        console.summary(report)
    if report.stopped is not None:
        return report.stopped.exit_code
    return ExitCode.INPUTS_FAILED if report.failed else ExitCode.DONE


def _check(recipe: str, of_degradations: Mapping[str, object], of_pairs: Mapping[str, object]) -> None:
    """Raises UsageError where an option was given that the recipe has not, or one is missing that it needs."""
    foreign, own = (of_degradations, of_pairs) if recipe == PAIRS else (of_pairs, of_degradations)
    for name, value in foreign.items():
        if value is not None:
            raise UsageError(f"{name}: does not go with --recipe {recipe}", f"{', '.join(own)} do")
    for name in ("--lr", "--reference") if recipe == PAIRS else ("INPUT",):
        if own[name] is None:
            raise UsageError(f"--recipe {recipe}: {name} is missing", "name the folder of pictures")
