"""What a training's steps come to while they are watched: running means, speed, time left, the best validation."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from upscale_cli.training.state import Best
from upscale_cli.training.watch import Progress

RECENT = 50
"""Steps that losses and speed are a mean over."""
MUCH_WAITING = 0.05
"""Share of the time above which it is worth saying that the steps wait for data."""


class Validated(NamedTuple):
    """A validation, and the step it followed."""

    step: int
    figures: Mapping[str, float]

    def __str__(self) -> str:
        return f"{figures_text(self.figures)} at step {self.step}"


@dataclass(frozen=True)
class Standing:
    """Where a run stands after `step` steps.

    losses, patches_per_second, waiting: means over the last RECENT steps; waiting: share of the time without data.
    seconds_left: at that speed.  validated: the last validation of this session.  best: the one of the run whose first
    figure is highest.
    """

    step: int
    lr: float
    losses: Mapping[str, float]
    patches_per_second: float
    waiting: float
    seconds_left: float
    validated: Validated | None
    best: Validated | None

    @property
    def speed_text(self) -> str:
        """'lr 1.00e-04, 21.3 patches/s, 2 h 5 min left'."""
        waiting = f" ({self.waiting:.0%} of the time waiting for data)" if self.waiting > MUCH_WAITING else ""
        left = duration_text(self.seconds_left)
        return f"lr {self.lr:.2e}, {self.patches_per_second:.1f} patches/s{waiting}, {left} left"


class TrainFigures:
    """Gathers steps of `batch` patches on the way to `max_steps`.  best: the best validation of earlier sessions."""

    def __init__(self, max_steps: int, batch: int, best: Best | None = None) -> None:
        self._max_steps, self._batch = max_steps, batch
        self._losses: deque[Mapping[str, float]] = deque(maxlen=RECENT)
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._waited: deque[float] = deque(maxlen=RECENT)
        self._validated: Validated | None = None
        self._best = None if best is None else Validated(best.step, {best.name: best.value})

    def add(self, progress: Progress) -> Standing:
        """One more step."""
        self._losses.append(progress.losses)
        self._seconds.append(progress.seconds)
        self._waited.append(progress.waited)
        if progress.validation:
            self._validated = Validated(progress.step, progress.validation)
            self._best = _better(self._best, self._validated)
        seconds = max(sum(self._seconds), 1e-9)
        return Standing(
            step=progress.step,
            lr=progress.lr,
            losses={name: self._mean_loss(name) for name in dict.fromkeys(chain(*self._losses))},
            patches_per_second=self._batch * len(self._seconds) / seconds,
            waiting=sum(self._waited) / seconds,
            seconds_left=(self._max_steps - progress.step) * seconds / len(self._seconds),
            validated=self._validated,
            best=self._best,
        )

    def _mean_loss(self, name: str) -> float:
        values = [losses[name] for losses in self._losses if name in losses]
        return sum(values) / len(values)


def figures_text(figures: Mapping[str, float]) -> str:
    """'psnr 24.81, ssim 0.6817'."""
    return ", ".join(f"{name} {value:.{2 if abs(value) >= 1 else 4}f}" for name, value in figures.items())


def duration_text(seconds: float) -> str:
    """'12 s', '5 min', '2 h 5 min'."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _better(best: Validated | None, new: Validated) -> Validated:
    if best is None:
        return new
    return max(best, new, key=lambda validated: next(iter(validated.figures.values())))
