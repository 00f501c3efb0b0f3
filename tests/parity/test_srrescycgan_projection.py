"""Noise estimator and projection layer on their own, against numbers from the authors' own code.

srrescycgan_projection.npz: colour, odd (1, 3, H, W), grey (1, 1, H, W) uint8 and each one's sigma over 255; residual
(4, 3, 7, 9) and sigma (4,) of the projection; projected_<alpha>, its output.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from upscale_cli.methods.srrescycgan.generator import projection_factor, residual_energy
from upscale_cli.methods.srrescycgan.noise import diagonal_details, noise_level

GOLDEN = np.load(Path(__file__).with_name("srrescycgan_projection.npz"))


@pytest.mark.parametrize("name", ["colour", "odd", "grey"])
def test_noise_level(name):
    details = diagonal_details(torch.from_numpy(GOLDEN[name]).float() / 255)
    assert noise_level(details[0]).item() == pytest.approx(GOLDEN[f"{name}_sigma"].item(), abs=1e-6)


@pytest.mark.parametrize("alpha", ["0.693147", "0.000000", "-1.000000"])
def test_projection(alpha):
    r, sigma = (torch.from_numpy(GOLDEN[name]) for name in ("residual", "sigma"))
    factor = projection_factor(residual_energy(r), sigma, torch.tensor(float(alpha)), r[0].numel())
    projected = r * factor.reshape(-1, 1, 1, 1)
    torch.testing.assert_close(projected, torch.from_numpy(GOLDEN[f"projected_{alpha}"]), atol=2e-5, rtol=0)
    assert (factor < 1).any()
