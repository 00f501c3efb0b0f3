"""The app and `main()`: the only place where errors become text and exit codes. Imports nothing heavy."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import click
import typer

from upscale_cli import __version__
from upscale_cli.cli.models import models_app
from upscale_cli.cli.one_line import one_line
from upscale_cli.cli.run import run_command
from upscale_cli.cli.train import train_command
from upscale_cli.errors import ExitCode, UpscaleError

app = typer.Typer(
    name="upscale",
    help="Upscale real photos: noisy, compressed, dark, straight from a phone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run_command)
app.command("train")(train_command)
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
    signal.signal(signal.SIGTERM, _interrupt)
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        # What could not be written stays in the buffer, and would be tried again at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _complain_of_stdout(error)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="upscale", standalone_mode=False)
    except UpscaleError as error:
        _print(f"error: {error}")
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return ExitCode.USAGE
    except click.ClickException as error:
        usage = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "upscale"
        _print(f"error: {error.format_message()} (see '{usage} --help')")
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        _leave_at_once()
    except MemoryError:
        _print("error: out of memory (close other programs, or lower --memory)")
        return ExitCode.RESOURCES
    except BrokenPipeError as error:
        return _complain_of_stdout(error)
    except Exception:  # noqa: BLE001 - the last resort
        traceback.print_exc()
        _print(f"error: this is a bug in upscale-cli {__version__}; please report it with the lines above")
        return ExitCode.BUG
    return result if isinstance(result, int) else ExitCode.DONE


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _leave_at_once() -> NoReturn:
    """Ends the process without waiting for a picture being encoded; its unfinished file is removed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "upscale_cli.imaging.atomic" in sys.modules:
        sys.modules["upscale_cli.imaging.atomic"].abandon_writes()
    _print("interrupted; what is finished stays, the same command goes on from there")
    sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)


def _complain_of_stdout(error: OSError) -> int:
    if error.errno == errno.EPIPE:
        # Whoever read our output has gone, as `head` does; there is nobody to tell.
        return ExitCode.INPUTS_FAILED
    _print(f"error: standard output: {error.strerror}")
    return ExitCode.RESOURCES


def _print(text: str) -> None:
    print(one_line(text), file=sys.stderr)  # noqa: T201
