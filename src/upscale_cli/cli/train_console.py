"""What `upscale train` shows on stderr, and the signals that stop it in good order."""

import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from upscale_cli.training import watch

PLAIN_EVERY = 10.0
"""Seconds between progress lines where stderr is no terminal."""
_RECENT = 50
"""Steps that the speed is measured over."""


class TrainConsole:
    """Shows a run (a `training.watch.Watch`): a bar on a terminal, plain lines elsewhere.

    From the first step on, SIGINT and SIGTERM ask the run to save and stop; a second one ends it at once.
    """

    def __init__(self, bars: Progress | None, *, quiet: bool) -> None:
        self.stopped_by: int | None = None
        self._bars = bars
        self._quiet = quiet
        self._before: dict[int, Any] = {}
        self._max_steps = self._batch = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._validation = ""
        self._spoken = time.monotonic()

    def begin(self, step: int, max_steps: int, batch: int) -> None:
        """The first step is about to be done."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        self._max_steps, self._batch = max_steps, batch
        if step:
            self.message(f"going on from step {step}")
        if self._bars is not None:
            self._bars.add_task("", total=max_steps, completed=step, words="")

    def step(self, progress: watch.Progress) -> None:
        """A step is done."""
        self._recent.append(progress.seconds)
        if progress.validation:
            self._validation = "".join(f", {name} {value:.2f}" for name, value in progress.validation.items())
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], completed=progress.step, words=self._words(progress))
        elif progress.validation or time.monotonic() - self._spoken > PLAIN_EVERY:
            self.message(self._words(progress))

    def message(self, text: str) -> None:
        """A line."""
        self._spoken = time.monotonic()
        if self._quiet:
            return
        if self._bars is not None:
            self._bars.console.print(Text(text), soft_wrap=True)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def stop_requested(self) -> bool:
        """Has a signal come?"""
        if self.stopped_by is not None:
            self.message("saving before it stops; the same signal once more ends it at once")
        return self.stopped_by is not None

    def end(self) -> None:
        """Signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopped_by = number
        self.end()

    def _words(self, progress: watch.Progress) -> str:
        seconds = sum(self._recent) / len(self._recent)
        losses = ", ".join(f"{name} {value:.2f}" for name, value in progress.losses.items())
        left = _duration((self._max_steps - progress.step) * seconds)
        return (
            f"step {progress.step}/{self._max_steps}: {losses}, lr {progress.lr:.2e}, "
            f"{self._batch / max(seconds, 1e-9):.1f} patches/s, {left} left{self._validation}"
        )


@contextmanager
def train_console(*, quiet: bool) -> Iterator[TrainConsole]:
    """A console for one run."""
    bars = None
    if sys.stderr.isatty() and not quiet:
        columns = BarColumn(), TextColumn("{task.fields[words]}")
        bars = Progress(*columns, console=Console(stderr=True), transient=True)
    console = TrainConsole(bars, quiet=quiet)
    with bars or nullcontext():
        try:
            yield console
        finally:
            console.end()


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
