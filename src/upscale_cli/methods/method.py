"""What a method must offer. Rooms are plain modules; these protocols say what their files must hold."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a broken training module must not break inference
    from torch import Tensor

    from upscale_cli.inference.device import Placement
    from upscale_cli.inference.network import AnyNetwork
    from upscale_cli.networks.unit_range import UnitRange
    from upscale_cli.training.settings import RecipeSettings
    from upscale_cli.training.trainable import Trainable

Shapes = Mapping[str, tuple[int, ...]]


class Method(Protocol):
    """A room's `checkpoint.py`."""

    def expected_tensors(self, options: Mapping[str, Any]) -> Shapes:
        """Names and shapes that a checkpoint of this method must hold, given its `options` in weights.toml."""

    def recognised(self, shapes: Shapes) -> dict[str, Any] | None:
        """The `options` of a checkpoint with just these tensors, as far as they tell; None for another method's."""

    def scale(self, options: Mapping[str, Any]) -> int:
        """How many times as large a side becomes."""

    def build(
        self,
        state: "Mapping[str, Tensor] | None",
        options: Mapping[str, Any],
        placement: "Placement",
        *,
        projection: bool = True,
    ) -> "AnyNetwork":
        """The network of a checkpoint whose tensors are as expected, ready to run; untrained for None, to plan with.

        projection: False leaves out the step that keeps the output near the input (where the method has one).
        """

    def trainable(self, options: Mapping[str, Any]) -> "UnitRange":
        """The network of these `options`, untrained, for another method to train on RGB in [0, 1].

        What is trained is exported as a checkpoint of this method: the tensors of its `generator`, with `options`.
        """


class Trainer(Protocol):
    """A room's `training.py`."""

    TrainingSettings: "type[RecipeSettings]"

    def prepare(self, settings: Any, message: Callable[[str], None]) -> "Trainable":
        """The recipe ready to run, its pictures decoded.  message: told what a person should read."""
