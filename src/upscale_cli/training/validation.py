"""What a network makes of held-out pictures: figures, and samples to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn

from upscale_cli.imaging.quality import psnr, ssim
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.training.datasets import Degrade
from upscale_cli.training.pictures import Pair, Pixels
from upscale_cli.training.trainable import Validation

LARGEST = 384
"""Pixels a side, at most, that are looked at of each picture."""
SHOWN, SIDE = 3, 192
"""So many of the pictures are samples, and so much of each: a run keeps hundreds of them."""


class Validator:
    """Held-out pictures, each degraded once and for all where it has no low-resolution partner."""

    def __init__(self, pairs: Sequence[Pair], degrade: Degrade, seed: int, scale: int) -> None:
        self._scale = scale
        self._pairs = [
            _prepared(pair, degrade, np.random.default_rng((seed, i)), scale) for i, pair in enumerate(pairs)
        ]

    @torch.no_grad()
    def __call__(self, network: nn.Module, body: torch.dtype) -> Validation:
        """Mean PSNR and SSIM (RGB, border `scale`); samples are bicubic enlargement, output and truth side by side.

        network: (B, 3, h, w) RGB in [0, 255] and the dtype of its body -> (B, 3, s h, s w) in [0, 255].
        """
        device = next(network.parameters()).device
        scores, samples = [], {}
        for i, (lr, hr) in enumerate(self._pairs):
            x_hat = network(to_tensor(lr).to(device).mul(255), body)
            output = np.asarray(from_tensor(x_hat.div(255), np.uint8, "rgb"), np.uint8)
            scores.append((psnr(output, hr, border=self._scale), ssim(output, hr, border=self._scale)))
            if i < SHOWN:
                bicubic = cv2.resize(lr, hr.shape[1::-1], interpolation=cv2.INTER_CUBIC)
                samples[str(i)] = np.concatenate([side[:SIDE, :SIDE] for side in (bicubic, output, hr)], axis=1)
        if not scores:
            return Validation()
        means = np.mean(scores, axis=0)
        return Validation({"psnr": float(means[0]), "ssim": float(means[1])}, samples)


def _prepared(pair: Pair, degrade: Degrade, rng: np.random.Generator, scale: int) -> tuple[Pixels, Pixels]:
    hr = pair.hr[:LARGEST, :LARGEST]
    return (degrade(hr, rng) if pair.lr is None else pair.lr[: LARGEST // scale, : LARGEST // scale]), hr
