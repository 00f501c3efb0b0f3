"""What a run shows: progress and messages on stderr, results on stdout."""

import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from upscale_cli.cli.one_line import one_line
from upscale_cli.errors import UpscaleError

if TYPE_CHECKING:
    from upscale_cli.services.upscale_report import PictureReport, UpscaleReport

PLAIN_EVERY = 10.0
"""Seconds between progress lines where stderr is no terminal."""


class RunConsole:
    """Shows `upscale run` (a `services.upscale_images.Watch`): bars on a terminal, plain lines elsewhere."""

    def __init__(self, bars: Progress | None, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        self._bars = bars
        self._quiet = quiet
        self._verbose = verbose
        self._as_json = as_json
        self._picture: TaskID | None = None
        self._all: TaskID | None = None
        self._name = ""
        self._spoken = time.monotonic()
        self._begun: tuple[float, float] | None = None

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """A checkpoint comes in."""
        size = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        self._now(f"downloading {name}", done / total if total else 0.0, size)

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""
        self._spoken = time.monotonic()
        self._begun = None
        self._name = f"[{number}/{count}] {name}" if count > 1 else name
        if self._bars is not None:
            if self._picture is not None:
                self._bars.remove_task(self._picture)
            if self._all is None and count > 1:
                self._all = self._bars.add_task("pictures", total=count)
            self._picture = self._bars.add_task(_short(name), total=1.0)

    def advanced(self, share: float) -> None:
        """Tiles are done."""
        self._begun = self._begun or (share, time.monotonic())
        self._now(self._name, share, f"{share:.0%}{_left(share, *self._begun)}")

    def finished(self, report: "PictureReport") -> None:
        """A picture is written, skipped or failed."""
        if self._bars is not None and self._all is not None:
            self._bars.advance(self._all)
        if self._as_json:
            # ASCII: whoever reads it need not know how names are written here.
            self._result(json.dumps(report.record()))
        elif report.status == "planned":
            self._result(_planned(report))
        if report.cause is not None:
            self._line(f"failed: {report.cause}", always=True)
            self.trace(report.cause)
        elif report.status == "done":
            self._line(f"{report.input} -> {report.output} ({_size(report)}, {report.seconds:.1f} s)")
            self._settings(report)
            if report.learned is not None:
                self._line(f"  {report.learned.words}")
        elif report.status == "skipped":
            self._line(": ".join((f"{report.output} exists, skipped", *report.notes)))
        for note in report.notes if report.status in ("done", "planned") else ():
            self._line(f"  note: {note}")

    def message(self, text: str) -> None:
        """Something the user should know."""
        self._line(text)

    def summary(self, report: "UpscaleReport") -> None:
        """The last words: how many, and which failed."""
        if len(report.pictures) + report.not_begun > 1:
            counts = [f"{number} {status}" for status, number in report.by_status.items()]
            counts += [f"{report.not_begun} not begun"] if report.not_begun else []
            self._line(f"{', '.join(counts)} in {report.seconds:.1f} s", always=report.stopped is not None)
            for picture in report.failed:
                self._line(f"  not done: {picture.input}", always=True)
        if "skipped" in report.by_status:
            self._line("existing outputs were left alone (--overwrite writes them anew)")

    def trace(self, error: UpscaleError) -> None:
        """With -v, where in the program the error arose."""
        if self._verbose:
            for line in "".join(traceback.format_exception(error)).splitlines():
                self._line(line)

    def _settings(self, report: "PictureReport") -> None:
        if self._verbose:
            tiles = f"tile {report.tile} ({report.tiles} tiles)" if report.tile else "in one piece"
            if report.choice is not None:
                self._line(f"  {report.choice.words}")
            crisp = f", sharpened {report.sharpen:g}" if report.sharpen else ""
            self._line(f"  model {report.model} ({report.sha256[:12]}), {report.precision}, {tiles}{crisp}")
            if report.fusion is not None:
                self._line(f"  {report.fusion.words}")

    def _now(self, name: str, share: float, words: str) -> None:
        if self._bars is not None:
            if self._picture is None:
                self._picture = self._bars.add_task(_short(name), total=1.0)
            self._bars.update(self._picture, completed=share)
        elif share < 1 and time.monotonic() - self._spoken > PLAIN_EVERY:
            self._line(f"{name}: {words}")

    def _result(self, text: str) -> None:
        """A line of stdout.  Raises ResourceError or ReaderGoneError where it takes no more."""
        if self._bars is not None and sys.stdout.isatty():
            # The same screen, on which only the bars' console knows where they are.
            self._bars.console.print(Text(one_line(text)), soft_wrap=True)
            return
        sys.stdout.write(one_line(text) + "\n")
        sys.stdout.flush()

    def _line(self, text: str, *, always: bool = False) -> None:
        self._spoken = time.monotonic()
        if self._quiet and not always:
            return
        if self._bars is not None:
            self._bars.console.print(Text(one_line(text)), soft_wrap=True)
        else:
            sys.stderr.write(one_line(text) + "\n")
            sys.stderr.flush()


@contextmanager
def run_console(*, quiet: bool, verbose: bool, as_json: bool) -> Iterator[RunConsole]:
    """A console for one run; its bars are gone when the block ends."""
    bars = None
    if sys.stderr.isatty() and not quiet:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
        )
        # Results go to stdout as they are: rich would send them where the bars are.
        bars = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    console = RunConsole(bars, quiet=quiet, verbose=verbose, as_json=as_json)
    with bars or nullcontext():
        try:
            yield console
        except UpscaleError as error:
            console.trace(error)
            raise


def _planned(report: "PictureReport") -> str:
    memory = f"{(report.memory or 0) / 2**20:,.0f} MiB"
    tiles = f"{report.tiles} tile{'' if report.tiles == 1 else 's'}"
    decided = "".join(f", {part.words}" for part in (report.choice, report.fusion) if part is not None)
    return f"{report.input} -> {report.output}: {_size(report)}, {report.precision}, {tiles}, about {memory}{decided}"


def _size(report: "PictureReport") -> str:
    sizes = (report.input_size, report.output_size)
    return " to ".join(f"{size[0]}x{size[1]}" for size in sizes if size)


def _left(share: float, first: float, begun: float) -> str:
    """How long the rest will take, where that is long enough to be said.  first: the share at the time `begun`."""
    done = share - first
    minutes = (time.monotonic() - begun) * (1 - share) / done / 60 if done > 0 else 0.0
    return f", about {minutes:.0f} min left" if minutes >= 1 else ""


def _short(name: str) -> str:
    return one_line(name if len(name) <= 40 else "..." + name[-37:])
