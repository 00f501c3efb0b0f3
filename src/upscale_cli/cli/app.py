"""The app and `main()`: the only place where errors become text and exit codes. Imports nothing heavy."""

import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from upscale_cli import __version__
from upscale_cli.cli.degrade import degrade_command
from upscale_cli.cli.evaluate import evaluate_command
from upscale_cli.cli.models import models_app
from upscale_cli.cli.one_line import one_line
from upscale_cli.cli.run import run_command
from upscale_cli.cli.streams import standard_streams
from upscale_cli.cli.train import train_command
from upscale_cli.cli.zeroshot import zeroshot_command
from upscale_cli.errors import ExitCode, ReaderGoneError, UpscaleError, UsageError

app = typer.Typer(
    name="upscale",
    help="Upscale real photos: noisy, compressed, dark, straight from a phone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run_command)
app.command("zeroshot")(zeroshot_command)
app.command("train")(train_command)
app.command("degrade")(degrade_command)
app.command("evaluate")(evaluate_command)
app.add_typer(models_app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"upscale-cli {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Upscale real photos: noisy, compressed, dark, straight from a phone."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The `upscale` command (None: with the process's arguments): runs it and exits with the documented code."""
    _give_way()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)  # as Ctrl-C; typer makes exit code 130 of it
    with standard_streams():
        sys.exit(_run(arguments))


def _give_way() -> None:
    """Threads that wait for each other soon let other programs have the processor.

    GNU OpenMP's, which reads this when torch is loaded, would spin for long: beside one busy process a picture took
    three to four times as long on two cores.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _run(arguments: Sequence[str] | None) -> int:
    try:
        _refuse_gone_folder()
        _refuse_empty(sys.argv[1:] if arguments is None else arguments)
        result = typer.main.get_command(app).main(arguments, prog_name="upscale", standalone_mode=False)
        if not result:  # else a fault of standard output has been told, or one that weighs more
            sys.stdout.flush()
    except ReaderGoneError as error:
        return error.exit_code
    except UpscaleError as error:
        _print(f"error: {error}")
        return error.exit_code
    except typer.TyperException as error:
        _show_usage_error(error)
        return ExitCode.USAGE
    except KeyboardInterrupt:  # before typer looks out for it
        return ExitCode.INTERRUPTED
    except MemoryError:
        _print("error: out of memory (close other programs, or lower --memory)")
        return ExitCode.RESOURCES
    except Exception:  # noqa: BLE001 - the last resort
        traceback.print_exc()
        _print(f"error: this is a bug in upscale-cli {__version__}; please report it with the lines above")
        return ExitCode.BUG
    return result if isinstance(result, int) else ExitCode.DONE


def _refuse_gone_folder() -> None:
    """Raises UsageError where the current folder was removed: names mean nothing there, and torch does not load."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder is gone", "change to another one") from error


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raises UsageError for an empty value, as an unset variable of the shell leaves; it would count as none given."""
    for before, argument in pairwise(("upscale", *arguments)):
        option = before if argument == "" else argument[:-1] if re.fullmatch("--[a-z-]+=", argument) else ""
        if option and option != "--suffix":  # nothing behind the name is a wish like another
            raise UsageError(f"an empty value after {option}", "perhaps from a variable that is not set")


def _show_usage_error(error: typer.TyperException) -> None:
    message = error.format_message()
    if message:  # empty where the help was shown instead
        context = getattr(error, "ctx", None)
        _print(f"error: {message} (see '{context.command_path if context else 'upscale'} --help')")


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _print(text: str) -> None:
    print(one_line(text), file=sys.stderr)  # noqa: T201
