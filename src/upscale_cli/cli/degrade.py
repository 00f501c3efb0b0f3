"""`upscale degrade`: parse, call the service, show its report."""

from typing import Annotated

import typer

from upscale_cli.cli import options
from upscale_cli.errors import ExitCode

RECIPES = "rwsr, srrescycgan-noise, srrescycgan-jpeg, dualsr, generic"


def degrade_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Sharp pictures, folders, globs.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="The folder for the pictures and the manifest.")
    ],
    scale: Annotated[int, typer.Option("-s", "--scale", min=1, max=64, help="By how much smaller.")] = 4,
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="NAME|FILE.toml", help=f"How they are spoiled: {RECIPES}, or a file."),
    ] = "rwsr",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another draw for each picture.")] = 0,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per picture on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")] = False,
) -> int:
    """Spoil sharp pictures as cameras and file formats do: low-resolution PNGs, and a manifest of what was drawn.

    What is drawn depends on the seed and the picture's name alone. Existing outputs are left alone; bad pictures are
    named and the others done.
    """
    from upscale_cli.cli.console import run_console

    with run_console(quiet=quiet, verbose=False, as_json=as_json) as console:
        from upscale_cli.services.degrade_images import DegradeRequest, degrade_images

        request = DegradeRequest(tuple(inputs), output, scale, recipe, seed, recursive, overwrite)
        try:
            report = degrade_images(request, console)
        except KeyboardInterrupt:
            console.message("interrupted; what is finished stays, the same command goes on from there")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        console.summary(report)
    if report.stopped is not None:
        return report.stopped.exit_code
    return ExitCode.INPUTS_FAILED if report.failed else ExitCode.DONE
