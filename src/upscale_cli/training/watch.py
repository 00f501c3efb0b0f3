"""What a run tells whoever watches it, and how it is asked to stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """One step's report.

    step: how many are done.  lr: the rate of this step.  losses: the weighted terms and their `total`.
    seconds: since the step before.  validation: figures of merit, where this step was followed by one.
    """

    step: int
    lr: float
    losses: Mapping[str, float]
    seconds: float
    validation: Mapping[str, float] | None = None


class Watch(Protocol):
    """Who watches a run: the command line's live view, or a test."""

    def begin(self, step: int, max_steps: int, batch: int) -> None:
        """Before the first step: how many are done, how many there will be, how many patches each takes."""

    def step(self, progress: Progress) -> None:
        """After each step."""

    def message(self, text: str) -> None:
        """Something a person should read."""

    def stop_requested(self) -> bool:
        """Asked after each step; True saves and ends the run."""
