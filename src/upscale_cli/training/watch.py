"""What a run tells whoever watches it, and how it is asked to stop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from upscale_cli.training.state import Best


@dataclass(frozen=True)
class Progress:
    """One step's report.

    step: how many are done.  lr: the rate of this step.  losses: the weighted terms of every network that is trained,
    and what they add up to.  seconds: since the step before; waited: those of them in which no batch was ready.
    validation: figures of merit, where this step was followed by one; the higher the first, the better.
    samples: pictures to look at beside it, (H, W, 3) RGB by name; kept for each validation, so few and small ones.
    """

    step: int
    lr: float
    losses: Mapping[str, float]
    seconds: float
    validation: Mapping[str, float] | None = None
    samples: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    waited: float = 0.0


class Watch(Protocol):
    """Who watches a run: the command line's live view, or a test."""

    def begin(self, step: int, max_steps: int, batch: int, best: Best | None) -> None:
        """Before the first step: how many are done, how many there will be, how many patches each takes; and the best
        validation of those that are done."""

    def step(self, progress: Progress) -> None:
        """After each step."""

    def message(self, text: str) -> None:
        """Something a person should read."""

    def stop_requested(self) -> bool:
        """Asked after each step; True saves and ends the run."""


class Observer(Protocol):
    """Who keeps a run's figures: `metrics_log.MetricsLog` and `tensorboard.TensorBoardLog`."""

    def write(self, progress: Progress) -> None:
        """After each step.  Raises ResourceError where it cannot be kept."""

    def close(self) -> None:
        """After the last step of a session, also of one that fails.  Raises ResourceError like `write`."""
