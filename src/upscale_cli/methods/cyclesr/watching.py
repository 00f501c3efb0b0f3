"""What the CycleGAN does to a few pictures: to look at (Figure 3), and whether their colours stay what they are."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.methods.cyclesr.translation import CycleGAN
from upscale_cli.training.datasets import Degrade
from upscale_cli.training.pictures import Pair, Pixels
from upscale_cli.training.validation import LARGEST

LOOKED_AT = 4
"""So many of the pictures, at most."""
DRIFT = 10.0
"""Grey levels that a picture's mean colour may change by in translation; more is a cycle that has collapsed."""


class Drift(NamedTuple):
    """By how many grey levels the pictures' mean colours change: the worst channel's, the mean over the pictures."""

    levels: float

    @property
    def faulty(self) -> bool:
        """Is that more than a camera does?"""
        return self.levels > DRIFT

    @property
    def said(self) -> str:
        """What a person should read, but for the remedy."""
        return (
            f"colours drift by {self.levels:.0f} levels in G_s2r's translations, and more than {DRIFT:.0f} mean that "
            "the cycle has collapsed"
        )


class Probe:
    """The first of some pictures, and synthetic low resolution of them.

    degrade: G_down, (H, W, 3) -> (h, w, 3).
    """

    def __init__(self, pairs: Sequence[Pair], degrade: Degrade) -> None:
        rng = np.random.default_rng(0)
        self._syn = [degrade(pair.hr[:LARGEST, :LARGEST], rng) for pair in pairs[:LOOKED_AT]]

    def drift(self, cycle: CycleGAN) -> Drift:
        """How far colours drift in what `cycle` makes of them."""
        changes = [(real - syn).mean((0, 2, 3)).abs().max().item() for syn, real in self._translated(cycle)]
        return Drift(255 * float(np.mean(changes)))

    def translations(self, cycle: CycleGAN) -> Mapping[str, Pixels]:
        """Side by side: the synthetic picture, the approximated real one, and that one with each channel's mean and
        variance of the first, as in Figure 3; by number."""
        return {
            str(number): np.concatenate([_pixels(side) for side in (syn, real, normalised(real, syn))], axis=1)
            for number, (syn, real) in enumerate(self._translated(cycle))
        }

    def _translated(self, cycle: CycleGAN) -> list[tuple[Tensor, Tensor]]:
        device = next(cycle.G_s2r.parameters()).device
        tensors = [to_tensor(pixels).to(device) for pixels in self._syn]
        return [(syn, cycle.approximated(syn)) for syn in tensors]


def normalised(picture: Tensor, like: Tensor) -> Tensor:
    """`picture` with the mean and variance of each channel of `like`; (1, 3, h, w) each, not clipped."""
    (deviation, mean), (wanted, target) = (torch.std_mean(x, (2, 3), keepdim=True) for x in (picture, like))
    return (picture - mean) * (wanted / deviation.clamp_min(1e-6)) + target


def _pixels(picture: Tensor) -> Pixels:
    return np.asarray(from_tensor(picture, np.uint8, "rgb"), np.uint8)
