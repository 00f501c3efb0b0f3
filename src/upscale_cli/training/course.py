"""What the loop must be told of a run: by a recipe, or by the settings of a method that learns from one picture."""

from typing import Literal, Protocol


class Course(Protocol):
    """How long a run goes, and what it keeps; `settings.RecipeSettings` explains each."""

    @property
    def name(self) -> str:
        """Of the checkpoint that is exported."""

    @property
    def max_steps(self) -> int:
        """Steps in all."""

    @property
    def batch(self) -> int:
        """Patches in a step."""

    @property
    def precision(self) -> Literal["fp32", "bf16", "fp16"]:
        """Of convolutions."""

    @property
    def ema(self) -> float:
        """Decay of the averaged weights."""

    @property
    def save_every(self) -> int:
        """Steps between checkpoints."""

    @property
    def workers(self) -> int:
        """Threads that draw batches ahead."""
