"""`upscale models`: which checkpoints there are, and getting, checking, removing and importing them."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upscale_cli.cli.one_line import one_line
from upscale_cli.errors import ResourceError, UsageError, WeightsError

if TYPE_CHECKING:  # everything below is imported by the verb that needs it: help and completion stay quick
    from upscale_cli.services.manage_models import ModelReport, Verdict

_KILOBYTES = 100_000
"""Bytes below which a size is shown in kB."""
models_app = typer.Typer(help="List, get, check, remove and import models.", no_args_is_help=True)


def _complete_names(incomplete: str) -> list[str]:
    from upscale_cli.weights.catalogue import load_catalogue

    return [name for name in load_catalogue().entries if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(help="A model's name, as 'upscale models list' shows it.", autocompletion=_complete_names)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON line per model on stdout.")]


@models_app.command("list")
def list_command(as_json: Json = False) -> None:
    """Show every model: scale, size, whether it is on this machine, licence."""
    from upscale_cli.services.manage_models import list_models

    reports = list_models()
    if as_json:
        for report in reports:
            _print_json(_record(report))
    elif sys.stdout.isatty():
        _print_table(reports)
    else:
        for report in reports:
            typer.echo("\t".join(map(one_line, _row(report))))


@models_app.command("info")
def info_command(name: Name, as_json: Json = False) -> None:
    """Show all that is known of one model."""
    from upscale_cli.services.manage_models import describe_model

    record = _record(describe_model(name))
    if as_json:
        _print_json(record)
        return
    for key, value in record.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if shown not in (None, "", {}):
            typer.echo(f"{key.replace('_', ' '):<12} {one_line(str(shown))}")


@models_app.command("pull")
def pull_command(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Models to get.", autocompletion=_complete_names)
    ],
    offline: Annotated[bool, typer.Option("--offline", help="Use no network: only check that they are here.")] = False,
    as_json: Json = False,
) -> None:
    """Download models, check them and keep them in the cache. One that is there already is only checked."""
    from upscale_cli.services.manage_models import pull_models
    from upscale_cli.weights.store import offline_requested

    verdicts: list[Verdict] = []
    try:
        with _progress() as progress:
            for verdict in pull_models(names, offline=offline_requested(offline), progress=progress):
                verdicts.append(verdict)  # noqa: PERF402 - what is there already counts where the disk is full
    except ResourceError:
        _show_verdicts(verdicts, as_json)
        raise
    _show_verdicts(verdicts, as_json)
    _complain(verdicts, "not obtained")


@models_app.command("verify")
def verify_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Default: all that are here.", autocompletion=_complete_names),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare checkpoints on this machine with the sha256 they must have."""
    from upscale_cli.services.manage_models import verify_models

    verdicts = verify_models(names or [])
    _show_verdicts(verdicts, as_json)
    _complain(verdicts, "not as they should be")


@models_app.command("path")
def path_command(name: Name) -> None:
    """Print where a model's checkpoint lies."""
    from upscale_cli.services.manage_models import locate_model

    typer.echo(locate_model(name))


@models_app.command("remove")
def remove_command(name: Name) -> None:
    """Delete a model's checkpoint from the cache; an imported model altogether."""
    from upscale_cli.services.manage_models import remove_model

    typer.echo(f"{name}: removed" if remove_model(name) else f"{name}: was not in the cache")


@models_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A .safetensors or .pth file of network weights.")],
    name: Annotated[str | None, typer.Option("--name", "-n", help="The model's name. Default: the file's.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="The method whose network reads it. Default: what the file tells.")
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale", "-s", min=1, max=16, help="By how much it enlarges, which must be so. Default: the network's."
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="KEY=VALUE", help="What the method must know of it, if the file does not tell."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a checkpoint of your own and keep it in the cache, for 'upscale run --model NAME'."""
    from upscale_cli.services.manage_models import import_model

    report = import_model(file, name=name, method=method, scale=scale, options=dict(map(_option, option or [])))
    if as_json:
        _print_json(_record(report))
    else:
        typer.echo(f"{report.entry.name}: imported, {one_line(str(report.path))}")


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--option {text!r}: is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _record(report: "ModelReport") -> dict[str, Any]:
    record = report.entry.model_dump(mode="json", exclude={"file"})
    return record | {"where": report.where, "path": report.path and str(report.path), "default": report.default}


def _row(report: "ModelReport") -> tuple[str, ...]:
    entry = report.entry
    size = entry.bytes or (report.path.stat().st_size if report.path else None)
    shown = "?" if not size else f"{size / 1e3:.1f} kB" if size < _KILOBYTES else f"{size / 1e6:.1f} MB"
    where = f"{report.where}, default" if report.default else report.where
    scale = f"x{entry.scale}" if entry.role == "upscaler" else "-"
    pair = f"; with {entry.partner}" if entry.role == "upscaler" and entry.partner else ""
    return entry.name, scale, shown, where, entry.licence, entry.description + pair


def _print_table(reports: "list[ModelReport]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("model", "scale", "size", "where", "licence", "description"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "size" else "left")
    for report in reports:
        table.add_row(*(Text(one_line(cell)) for cell in _row(report)))
    Console().print(table)


def _show_verdicts(verdicts: "list[Verdict]", as_json: bool) -> None:
    """Each on its line."""
    for verdict in verdicts:
        file = verdict.file and asdict(verdict.file) | {"path": str(verdict.file.path)}
        if as_json:
            _print_json({"name": verdict.name, "ok": file is not None, "file": file, "fault": verdict.fault or None})
        elif verdict.file is not None:
            note = (
                "; its publisher gives no whole sha256: this one is kept and must stay the same"
                if verdict.file.pinned
                else ""
            )
            typer.echo(f"{verdict.name}: ok, sha256 {verdict.file.sha256}, {one_line(str(verdict.file.path))}{note}")


def _complain(verdicts: "list[Verdict]", failed: str) -> None:
    """Raises WeightsError if any is wrong, with all the reasons."""
    faults = [verdict.fault for verdict in verdicts if verdict.file is None]
    if len(faults) == 1:
        raise WeightsError(faults[0])
    if faults:
        raise WeightsError(f"{len(faults)} of {len(verdicts)} models are {failed}: " + "; ".join(faults))


def _print_json(record: dict[str, Any]) -> None:
    typer.echo(json.dumps(record))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Bars on stderr where somebody looks at it, else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name)
            bars.update(tasks[name], completed=done, total=total)

        yield show
