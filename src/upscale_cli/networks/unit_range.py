"""A method's generator as anyone may train it: RGB in [0, 1] outside, whatever its paper's range inside."""

import torch
from torch import Tensor, nn


class UnitRange(nn.Module):
    """A network of super-resolution, whichever method's.

    generator: its `state_dict()` is what a checkpoint of its method holds.  scale: by how much it enlarges.
    white: the level that its paper calls white, 1 or 255.
    """

    def __init__(self, generator: nn.Module, scale: int, white: float = 1.0) -> None:
        super().__init__()
        self.generator = generator
        self.scale = scale
        self.white = white

    def forward(self, x: Tensor, body: torch.dtype = torch.float32) -> Tensor:
        """(B, 3, h, w) RGB in [0, 1] -> (B, 3, scale h, scale w) float32, clipped only where the paper's network clips.

        body: the dtype of most of its convolutions.
        """
        y: Tensor = self.generator(x * self.white, body)
        return y / self.white
