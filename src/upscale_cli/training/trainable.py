"""What a method offers to be trained: its networks, who trains with whom, and its step. The loop does the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from upscale_cli.training.datasets import Batch
from upscale_cli.training.settings import OptimiserSettings


@dataclass(frozen=True)
class Group:
    """Networks that one optimiser trains.

    adversary: they only judge. A slim state keeps their weights rounded and forgets their optimiser.
    """

    networks: Mapping[str, nn.Module]
    optimiser: OptimiserSettings
    adversary: bool = False


class Validation(NamedTuple):
    """Figures of merit on held-out pictures, the first of which decides what is best (higher is better); and samples
    to look at, named pictures (H, W, 3) RGB.  Figures are empty where nothing is held out."""

    figures: Mapping[str, float] = {}
    samples: Mapping[str, NDArray[np.uint8]] = {}


class Update(Protocol):
    """One step of the optimisers of one group or of several."""

    def __call__(self, groups: str | Sequence[str], terms: Mapping[str, Tensor], /) -> None:
        """Lowers the sum of `terms`, weighted scalars, by the parameters of `groups` alone; they are logged by name.

        Groups that learn together share one backward pass; each keeps its own rate and its own largest gradient norm.
        """


class Trainable(Protocol):
    """What a method's `training.py` makes of a recipe."""

    groups: Mapping[str, Group]
    """Everything that is trained and saved; names of networks are unique. The loop puts them on their device."""
    network: nn.Module
    """The one among them that is averaged, validated and exported."""

    def draw(self, step: int, samples: range) -> Batch:
        """These samples of the step's batch, on the CPU, the same whenever asked for; called from several threads."""

    def step(self, number: int, batch: Batch, update: Update) -> None:
        """Step `number` (from 0): losses, and an `update` for each group.  batch: on the networks' device."""

    def validate(self, network: nn.Module) -> Validation:
        """What `network` does to held-out pictures."""

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """Writes the network as a checkpoint that `upscale run --model` takes."""


@runtime_checkable
class Translating(Protocol):
    """A `Trainable` that also learns to make pictures of one kind look like those of another."""

    def translations(self) -> Mapping[str, NDArray[np.uint8]]:
        """What the networks of this moment make of a few pictures: name -> (H, W, 3) RGB, original and copies."""
