"""Learning from a trained network beside the photographs (knowledge distillation; Hinton, Vinyals and Dean, 2015).

A photograph is one of many that its low-resolution patch could have come from, and the gradient of a batch says as much
about which one as about what they have in common. A network that has learned from many says the latter alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from upscale_cli.networks.unit_range import UnitRange
from upscale_cli.training.datasets import Batch
from upscale_cli.training.trainable import Group, Trainable, Update, Validation


class Taught:
    """A `Trainable` that takes the teacher's pictures for a share of each photograph."""

    def __init__(self, trainable: Trainable, teacher: UnitRange, share: float, body: torch.dtype) -> None:
        """share: 0 for the photographs alone, 1 for the teacher's pictures alone.  body: dtype of its convolutions."""
        self.groups: Mapping[str, Group] = trainable.groups
        self.network: nn.Module = trainable.network
        self._trainable = trainable
        self._teacher = teacher.eval().requires_grad_(False)
        self._share = share
        self._body = body

    def draw(self, step: int, samples: range) -> Batch:
        """The recipe's own patches."""
        return self._trainable.draw(step, samples)

    def step(self, number: int, batch: Batch, update: Update) -> None:
        """The recipe's step with good patches that are in part the teacher's."""
        with torch.no_grad():
            taught = self._teacher.to(batch.lr.device)(batch.lr, self._body).clamp(0, 1)
        self._trainable.step(number, replace(batch, hr=batch.hr.lerp(taught, self._share)), update)

    def validate(self, network: nn.Module) -> Validation:
        """Beside the photographs alone."""
        return self._trainable.validate(network)

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        """As the recipe's own."""
        self._trainable.export(network, path, step)
