"""A supervised SRResCycGAN step trained as a straightforward script does it, to measure the program's own loop against.

float32 in PyTorch's default layout; pictures are decoded from disk for every sample, by a DataLoader's processes.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from upscale_cli.config.toml_file import parse, read_toml
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.losses.content import content_loss
from upscale_cli.methods.srrescycgan.generator import SCALE, Generator
from upscale_cli.methods.srrescycgan.losses import tv_loss
from upscale_cli.methods.srrescycgan.training import TrainingSettings


class Step(NamedTuple):
    """How long one took, and how much of that nothing was done for want of data."""

    seconds: float
    waited: float


class Patches(Dataset[tuple[Tensor, Tensor]]):
    """Every sample of a run: lr (3, p, p) and hr (3, 4p, 4p), RGB in [0, 255]."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._files = sorted(settings.data.train.iterdir())

    def __len__(self) -> int:
        return self._settings.max_steps * self._settings.batch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """A random crop, flipped and turned at random, and its degraded copy."""
        rng = np.random.default_rng((self._settings.seed, index))
        with Image.open(self._files[rng.integers(len(self._files))]) as file:
            picture = np.array(file.convert("RGB"))
        side = self._settings.patch * SCALE
        top, left = (rng.integers(length - side + 1) for length in picture.shape[:2])
        hr = np.rot90(picture[top : top + side, left : left + side], int(rng.integers(4)))
        hr = np.ascontiguousarray(hr[:, ::-1] if rng.random() < 0.5 else hr)
        return _tensor(degrade(hr, SCALE, self._settings.degradation, rng)), _tensor(hr)


def train(recipe: Path, device: torch.device) -> list[Step]:
    """Runs the recipe; a `Step` for each."""
    settings = parse(TrainingSettings, read_toml(recipe), str(recipe))
    torch.manual_seed(settings.seed)
    network = Generator(settings.generator).to(device)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))  # type: ignore[no-untyped-call]
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.optimiser.lr, betas=settings.optimiser.betas)
    batches = iter(DataLoader(Patches(settings), settings.batch, num_workers=settings.data.workers))
    steps = []
    for _ in range(settings.max_steps):
        begun = time.perf_counter()
        y, x = next(batches)
        waited = time.perf_counter() - begun
        y, x = y.to(device), x.to(device)
        x_hat = network(y)
        loss = settings.loss.l1 * content_loss(x_hat, x) + settings.loss.tv * tv_loss(x_hat, x)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        average.update_parameters(network)
        loss.item()  # as scripts print it; a GPU has done its work then
        steps.append(Step(time.perf_counter() - begun, waited))
    return steps


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(pixels).permute(2, 0, 1).float().contiguous()
