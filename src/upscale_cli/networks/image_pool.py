"""CycleGAN's image pool (Shrivastava et al. 2017; Zhu et al. 2017, section 4): a discriminator that also sees what its
generator made some steps ago is not chased in circles."""

import numpy as np
import torch
from torch import Tensor, nn

SIZE = 50
"""Pictures that are kept (Zhu et al.: 50)."""


class ImagePool(nn.Module):
    """A history of generated pictures.

    A module without parameters: in a group beside the discriminator that it feeds, its pictures are saved and resumed
    with the networks.  With several processes, give it the pictures of all of them (`training.processes.gathered`):
    then all hold the same history, which is that of one process with the whole batch.

    height, width: of the pictures, which must not change.
    """

    images: Tensor
    count: Tensor

    def __init__(self, height: int, width: int, size: int = SIZE) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, 3, height, width))
        self.register_buffer("count", torch.tensor(0))

    @torch.no_grad()
    def exchange(self, fakes: Tensor, rng: np.random.Generator) -> Tensor:
        """What the discriminator is shown in place of `fakes`, (B, 3, height, width) -> the same shape.

        Until the pool is full each picture is kept and shown. Then every other one, by chance, is kept in the place of
        an older one, which is shown instead.  rng: of this step alone, so that a resumed run draws the same.
        """
        shown, size = fakes.detach().clone(), len(self.images)
        kept = int(self.count)
        exchanged, places = rng.random(len(fakes)) < 0.5, rng.integers(size, size=len(fakes))
        for i, (swap, place) in enumerate(zip(exchanged, places, strict=True)):
            if kept < size:
                self.images[kept] = fakes[i]
                kept += 1
            elif swap:
                shown[i] = self.images[place]
                self.images[place] = fakes[i]
        self.count.fill_(kept)
        return shown
