"""What `upscale evaluate` shows: progress and failures on stderr, JSON lines and the table on stdout."""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from upscale_cli.cli.one_line import one_line
from upscale_cli.services.evaluate_report import EvaluateReport, PictureScores, Score

Heading = Callable[[EvaluateReport], str]
"""By what rules the table came about."""
PLAIN_EVERY = 10.0
"""Seconds between progress lines where stderr is no terminal."""
_UNFOLDED = 1000
"""Columns where nobody's screen is that wide: a file or a pipe gets each picture on one line."""
_DECIMALS = {"psnr": 2, "ssim": 4, "lpips": 4, "niqe": 2}


class EvaluateConsole:
    """Shows an evaluation (a `services.evaluate_model.Watch`): a bar on a terminal, plain lines elsewhere."""

    def __init__(self, bars: Progress | None, heading: Heading, *, quiet: bool, as_json: bool) -> None:
        self._bars = bars
        self._heading = heading
        self._quiet = quiet
        self._as_json = as_json
        self._name = ""
        self._spoken = time.monotonic()

    def downloading(self, name: str, done: int, total: int | None) -> None:
        """A checkpoint comes in."""
        self._name = f"downloading {name}"
        self.advanced(done / total if total else 0.0)

    def started(self, name: str, number: int, count: int) -> None:
        """A picture's turn."""
        self._name = f"[{number}/{count}] {name}"
        self.advanced(0.0)

    def advanced(self, share: float) -> None:
        """The model is that far."""
        if self._bars is not None:
            task = self._bars.task_ids[0] if self._bars.task_ids else self._bars.add_task("", total=1.0)
            self._bars.update(task, completed=share, description=one_line(self._name))
        elif time.monotonic() - self._spoken > PLAIN_EVERY:
            self.message(f"{self._name}: {share:.0%}")

    def measured(self, scores: PictureScores) -> None:
        """A picture is measured or failed."""
        if self._as_json:
            self._result(json.dumps(scores.record()))
        if scores.cause is not None:
            self.message(f"failed: {scores.cause}", always=True)
        for note in scores.notes:
            self.message(f"{scores.picture}: {note}")

    def message(self, text: str, *, always: bool = False) -> None:
        """A line on stderr."""
        self._spoken = time.monotonic()
        if self._quiet and not always:
            return
        if self._bars is not None:
            self._bars.console.print(Text(one_line(text)), soft_wrap=True)
        else:
            sys.stderr.write(one_line(text) + "\n")
            sys.stderr.flush()

    def stopped(self, report: EvaluateReport, count: int) -> None:
        """The table so far; JSON has its lines already, and no means of a part."""
        done = f"stopped after {len(report.pictures)} of {count} pictures"
        if not self._as_json and report.failed < len(report.pictures):
            self._result(_drawn(report, f"{self._heading(report)}, {done}"))
        self.message(done)

    def report(self, report: EvaluateReport) -> None:
        """The last words: the table, or the means as JSON."""
        if self._as_json:
            self._result(json.dumps(report.record()))
        elif report.failed < len(report.pictures):
            self._result(_drawn(report, self._heading(report)))
        if report.failed:
            self.message(f"{report.failed} of {len(report.pictures)} pictures could not be measured", always=True)

    def _result(self, text: str) -> None:
        """Lines of stdout.  Raises ResourceError or ReaderGoneError where it takes no more."""
        if self._bars is not None and sys.stdout.isatty():
            # The same screen, on which only the bars' console knows where they are.
            self._bars.console.print(Text.from_ansi(text), soft_wrap=True)
            return
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def evaluate_console(heading: Heading, *, quiet: bool, as_json: bool) -> Iterator[EvaluateConsole]:
    """A console for one evaluation, whose table has that heading; its bar is gone when the block ends."""
    bars = None
    if sys.stderr.isatty() and not quiet:
        columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn()
        bars = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    with bars or nullcontext():
        yield EvaluateConsole(bars, heading, quiet=quiet, as_json=as_json)


def _drawn(report: EvaluateReport, heading: str) -> str:
    """The table as text."""
    searched = report.protocol.shift_search > 0
    table = Table(title=Text(heading), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("picture", overflow="fold")
    for name in ("bicubic", report.model):
        for metric in report.metrics:
            above = name if metric == report.metrics[0] else ""
            table.add_column(Text(f"{above}\n{metric.upper()}"), justify="right", overflow="fold")
        if searched:
            table.add_column("\nshift", justify="right")
    for picture in report.pictures:
        if picture.bicubic is not None and picture.model is not None:
            cells = (*_cells(picture.bicubic, searched), *_cells(picture.model, searched))
            table.add_row(Text(one_line(picture.picture)), *cells)
    table.add_section()
    if report.bicubic_mean is not None and report.model_mean is not None:
        means = (*_cells(report.bicubic_mean, searched, mean=True), *_cells(report.model_mean, searched, mean=True))
        table.add_row(f"mean of {len(report.pictures) - report.failed}", *means)
    drawn = io.StringIO()
    terminal = sys.stdout.isatty()
    Console(file=drawn, force_terminal=terminal, width=None if terminal else _UNFOLDED).print(table)
    return drawn.getvalue().rstrip("\n")


def _cells(score: Score, searched: bool, *, mean: bool = False) -> list[str]:
    down, across = score.shift
    figures = [f"{value:.{_DECIMALS[metric]}f}" for metric, value in score.values.items()]
    return [*figures, *(["" if mean else f"{down:+d},{across:+d}"] if searched else [])]
