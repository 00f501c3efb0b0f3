"""DualSR's learning as a straightforward script does it, to measure the program's own against.

The same mathematics from the same first weights on the same patches: float32 in PyTorch's default layout, the
downsampler layer by layer on every patch, the bicubic picture of each patch by NumPy, Adam for each network.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.config import AdaptationSettings
from upscale_cli.methods.dualsr.downsampler import Downsampler, shaved
from upscale_cli.methods.dualsr.imresize import imresize
from upscale_cli.methods.dualsr.losses import cycle_loss, discriminator_loss, frequency_mask, gan_loss
from upscale_cli.training.schedule import learning_rate


class PlainLearning:
    """Ready to learn from `pixels` (H, W, 3); `G_UP` is what is learned."""

    def __init__(self, pixels: NDArray[np.uint8], settings: AdaptationSettings, device: torch.device) -> None:
        self._start = Adaptation(pixels, settings)
        self._settings = settings
        self._device = device
        self.G_UP = self._start.G_UP.to(device)
        self._G_DN, self._D_DN = self._start.G_DN.to(device), self._start.D_DN.to(device)
        self._R = self._start.regularisation.to(device)
        networks = ((self.G_UP, settings.up), (self._G_DN, settings.down), (self._D_DN, settings.down))
        self._optimisers = [
            (torch.optim.Adam(network.parameters(), lr=group.lr, betas=group.betas), group)
            for network, group in networks
        ]

    def step(self, number: int) -> float:
        """One step; its seconds."""
        begun = time.perf_counter()
        settings, weights = self._settings, self._settings.loss
        batch = self._start.draw(number, range(settings.batch))
        bicubic = torch.stack([_doubled(patch) for patch in batch.lr]).to(self._device)
        x, y = batch.lr.to(self._device), batch.hr.to(self._device)
        for optimiser, group in self._optimisers:
            optimiser.zero_grad()
            for part in optimiser.param_groups:
                part["lr"] = learning_rate(number, settings.max_steps, group)
        fake_hr, fake_lr = self.G_UP(x), layer_by_layer(self._G_DN, y)
        regular = self._R.terms(self._G_DN.kernel(), y, fake_lr)
        mask = frequency_mask(bicubic)
        total = (
            gan_loss(self._D_DN(fake_lr), real=True)
            + weights.cycle * cycle_loss(layer_by_layer(self._G_DN, fake_hr), x)
            + weights.cycle * cycle_loss(self.G_UP(fake_lr), y)
            + weights.interpolation * (fake_hr * mask - bicubic * mask).abs().mean()
            + weights.regularisation * self._R.total(regular)
        )
        up, down, judge = (optimiser for optimiser, _ in self._optimisers)
        total.backward()
        up.step()
        down.step()
        judge.zero_grad()
        fake_lr = fake_lr.detach()
        loss = discriminator_loss(self._D_DN(shaved(x, fake_lr)), self._D_DN(fake_lr))
        loss.backward()  # type: ignore[no-untyped-call]
        judge.step()
        self._R.advance(number, regular["bicubic"].item())
        return time.perf_counter() - begun


def layer_by_layer(G_DN: Downsampler, x: Tensor) -> Tensor:
    """(B, 3, H, W) through every layer, each channel on its own."""
    planes = x.reshape(-1, 1, *x.shape[2:])
    reduced: Tensor = G_DN.final_layer(G_DN.feature_block(G_DN.first_layer(planes)))
    return reduced.reshape(len(x), 3, *reduced.shape[2:])


def _doubled(patch: Tensor) -> Tensor:
    pixels = imresize(patch.permute(1, 2, 0).double().numpy(), 2)
    return torch.from_numpy(pixels).permute(2, 0, 1).float()
