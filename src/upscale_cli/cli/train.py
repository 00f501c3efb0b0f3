"""`upscale train`: parse, call the service, show its report."""

import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upscale_cli.cli import options
from upscale_cli.errors import ExitCode, UpscaleError, UsageError

if TYPE_CHECKING:  # imported by the command itself: help and completion stay quick
    from upscale_cli.cli.train_console import TrainConsole
    from upscale_cli.services.train_method import TrainingPlan
    from upscale_cli.training.loop import TrainingReport

_FIRST_SPEAKS_SECONDS = 3
"""So long another process than the first keeps its fault to itself: where the first has it too, torchrun ends all."""

_Config = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="A recipe, as those in configs/.", show_default=False)
]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="The run's folder. Default: runs/<its name>.")
]
_Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="In place of the recipe's, as in --set optimiser.lr=1e-4."),
]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on from the folder's newest checkpoint.")]
_ForceConfig = Annotated[
    bool, typer.Option("--force-config", help="With --resume: go on though the recipe has changed.")
]
_MaxTime = Annotated[
    str | None, typer.Option("--max-time", metavar="TIME", help="Save and stop then, as in 9m or 1h30m.")
]
_Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda[:i]", help="Where to train. auto: cuda where there is one."),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, draw one batch, write nothing.")]
_PrintConfig = Annotated[
    str | None,
    typer.Option("--print-config", metavar="METHOD", help="Print a recipe with every key, explained, and do no more."),
]
_SlimState = Annotated[
    Path | None,
    typer.Option("--slim-state", metavar="DIR", help="At the end write the state there in parts of 16 MiB at most."),
]
_SaveTranslations = Annotated[
    bool,
    typer.Option(
        "--save-translations",
        help="With each state keep pictures of what cyclesr takes for real low resolution.",
    ),
]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only the result.")]


def train_command(
    config: _Config = None,
    output: _Output = None,
    overrides: _Overrides = None,
    resume: _Resume = False,
    force_config: _ForceConfig = False,
    max_time: _MaxTime = None,
    device: _Device = "auto",
    dry_run: _DryRun = False,
    print_config: _PrintConfig = None,
    slim_state: _SlimState = None,
    save_translations: _SaveTranslations = False,
    quiet: _Quiet = False,
) -> None:
    """Train a model from a recipe.

    Ctrl-C, SIGTERM and --max-time save and stop; --resume goes on exactly where the run stopped, also after a kill.
    The path of the trained checkpoint is printed on stdout.
    """
    if print_config is not None:
        from upscale_cli.services.training_recipe import complete_recipe

        typer.echo(complete_recipe(print_config), nl=False)
        return
    if config is None:
        raise UsageError("upscale train: CONFIG is missing", "--print-config srrescycgan prints a recipe to begin with")
    max_seconds = None if max_time is None else options.parse_seconds(max_time)
    from upscale_cli.cli.train_console import train_console
    from upscale_cli.services.train_method import train_from_recipe
    from upscale_cli.training.processes import is_first

    with train_console(quiet=quiet or not is_first()) as console:
        try:
            report = train_from_recipe(
                config,
                output=output,
                overrides=overrides or [],
                resume=resume,
                force_config=force_config,
                max_seconds=max_seconds,
                device=device,
                dry_run=dry_run,
                slim_state=slim_state,
                save_translations=save_translations,
                watch=console,
            )
        except KeyboardInterrupt:
            console.interrupted()
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except UpscaleError:
            if not is_first():
                time.sleep(_FIRST_SPEAKS_SECONDS)
            raise
        console.end()  # the path is not printed into the live view
        if not is_first():
            return  # torchrun has started others, of which one speaks for all
        if report.outcome is None:
            typer.echo(_planned(report.plan, max_time))
        else:
            _show(report.plan, report.outcome, console)


def _show(plan: "TrainingPlan", outcome: "TrainingReport", console: "TrainConsole") -> None:
    from upscale_cli.training.loop import BEST
    from upscale_cli.training.processes import count

    if outcome.finished:
        figures = "".join(f", {name} {value:.2f}" for name, value in outcome.validation.items())
        console.message(f"{plan.name}: {outcome.step} steps done{figures}")
        if outcome.best is not None and outcome.best.step != outcome.step:
            step, name, value = outcome.best
            console.message(f"the best of them: {name} {value:.2f} at step {step}, in {plan.folder / BEST}")
    else:
        go_on = shlex.join(["upscale", "train", str(plan.recipe), "-o", str(plan.folder), "--resume"])
        again = go_on if count() == 1 else f"the same torchrun with {go_on.removeprefix('upscale ')}"
        console.message(f"stopped at step {outcome.step} of {plan.max_steps}; to go on: {again}")
    use = ["upscale", "run", "photo.jpg", "--model", str(outcome.exported)]
    console.message(f"to use it: {shlex.join(use)}")
    typer.echo(outcome.exported)
    if console.stopped_by == signal.SIGINT and not outcome.finished:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _planned(plan: "TrainingPlan", max_time: str | None) -> str:
    parameters = ", ".join(f"{name} {count:,}" for name, count in plan.parameters.items())
    return (
        f"{plan.name}: {plan.method} (parameters: {parameters}), {plan.max_steps:,} steps of {plan.batch} patches "
        f"of {plan.patch}x{plan.patch} pixels in {plan.precision} on {plan.device}, into {plan.folder}"
        + (f", for {max_time} at most" if max_time else "")
    )
