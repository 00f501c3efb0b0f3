"""What `upscale train` shows on stderr, and the signals that stop it in good order."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from upscale_cli.cli.one_line import one_line
from upscale_cli.cli.train_figures import Standing, TrainFigures, duration_text, figures_text
from upscale_cli.training.state import Best
from upscale_cli.training.watch import Progress

PLAIN_EVERY = 10.0
"""Seconds between progress lines where stderr is no terminal; the first ones come sooner."""
_STOPPING = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


class TrainConsole:
    """Shows a run (`training.watch.Watch`) live on `screen`, by plain lines where there is none; not at all if quiet.

    From the first step on, SIGINT, SIGTERM and SIGHUP ask the run to save and stop; a second one ends it at once.
    """

    def __init__(self, screen: Console | None, *, quiet: bool) -> None:
        self.stopped_by: int | None = None
        self._begun = False
        self._screen = None if quiet else screen
        self._quiet = quiet
        self._live: Live | None = None
        self._handlers: dict[int, Any] = {}
        self._figures = TrainFigures(0, 0)
        self._standing: Standing | None = None
        self._first_step = self._max_steps = 0
        self._began = self._spoken = time.monotonic()
        self._pause = 0.0
        self._terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def begin(self, step: int, max_steps: int, batch: int, best: Best | None = None) -> None:
        """The first step is about to be done."""
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup, or in a script's background
                self._handlers[number] = signal.signal(number, self._stop)
        self._first_step, self._max_steps = step, max_steps
        self._figures = TrainFigures(max_steps, batch, best)
        self._begun = True
        self._began = time.monotonic()
        if step:
            self.message(f"going on from step {step}")
        if self._screen is not None:
            self._live = Live(
                get_renderable=self._view,
                console=self._screen,
                refresh_per_second=2,
                transient=True,
                redirect_stdout=False,  # to stderr, where the view is
            )
            self._live.start()

    def step(self, progress: Progress) -> None:
        """A step is done."""
        self._standing = self._figures.add(progress)
        if self._live is None and (progress.validation or time.monotonic() - self._spoken >= self._pause):
            self._pause = min(max(1.0, 2 * self._pause), PLAIN_EVERY)
            self.message(self._line(self._standing))

    def message(self, text: str) -> None:
        """A line."""
        self._spoken = time.monotonic()
        if self._quiet:
            return
        # A terminal that was closed is no reason to lose a run.
        with contextlib.suppress(OSError):
            if self._screen is not None:
                self._screen.print(Text(one_line(text)), soft_wrap=True)
            else:
                sys.stderr.write(one_line(text) + "\n")
                sys.stderr.flush()

    def stop_requested(self) -> bool:
        """Has a signal come?"""
        if self.stopped_by is not None:
            self.message("saving before it stops; the same signal once more ends it at once")
        return self.stopped_by is not None

    def interrupted(self) -> None:
        """Says what a second signal, or one before the first step, leaves."""
        saved = "; what was saved stays, --resume goes on from there"
        self.message(f"interrupted{saved if self._begun else ' before the first step'}")

    def end(self) -> None:
        """The live view goes, and signals do again what they did before: now results can be printed.

        What would go to a terminal that has been closed goes nowhere from now on.
        """
        self._restore_signals()
        for stream in self._terminals:
            if not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        if self._live is not None:
            with contextlib.suppress(OSError):
                self._live.stop()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopped_by = number
        self._restore_signals()

    def _restore_signals(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _line(self, standing: Standing) -> str:
        validated = self._validation_texts(standing)
        words = ", ".join([figures_text(standing.losses), standing.speed_text, *validated])
        return f"step {standing.step}/{self._max_steps}: {words}"

    def _view(self) -> RenderableType:
        """Drawn twice a second, in a thread of its own."""
        standing = self._standing
        step = self._first_step if standing is None else standing.step
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True)
        bar = ProgressBar(total=self._max_steps, completed=step)
        head.add_row(f"step {step}/{self._max_steps}", bar, f"{step / self._max_steps:.0%}")
        lines = [f"{duration_text(time.monotonic() - self._began)} elapsed"]
        if standing is not None:
            lines[0] += f", {standing.speed_text}"
            lines += [figures_text(standing.losses), *self._validation_texts(standing)]
        return Group(head, *map(Text, lines))

    def _validation_texts(self, standing: Standing) -> list[str]:
        if standing.best is None:
            return []
        if standing.best is standing.validated:
            return [f"validation: {standing.validated}, the best"]
        last = [] if standing.validated is None else [f"validation: {standing.validated}"]
        return [*last, f"best: {standing.best}"]


@contextlib.contextmanager
def train_console(*, quiet: bool) -> Iterator[TrainConsole]:
    """A console for one run.  quiet: it shows nothing, but listens to signals."""
    screen = Console(stderr=True)
    console = TrainConsole(screen if sys.stderr.isatty() and screen.is_interactive else None, quiet=quiet)
    try:
        yield console
    finally:
        console.end()
