"""The supervised terms against numbers from the authors' own loss classes.

srrescycgan_losses.npz: fake, real (2, 3, 24, 20) uint8; l1 and tv as the official code gives them on 0..255.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from upscale_cli.losses.content import content_loss
from upscale_cli.methods.srrescycgan.losses import tv_loss

GOLDEN = np.load(Path(__file__).with_name("srrescycgan_losses.npz"))
FAKE, REAL = (torch.from_numpy(GOLDEN[name]).float() for name in ("fake", "real"))


def test_content_loss_is_the_official_l1():
    assert content_loss(FAKE, REAL).item() == pytest.approx(float(GOLDEN["l1"]), rel=1e-5)


def test_tv_loss_is_the_official_l1_of_gradient_differences():
    assert tv_loss(FAKE, REAL).item() == pytest.approx(float(GOLDEN["tv"]), rel=1e-5)


def test_tv_loss_compares_gradients_and_not_levels():
    assert tv_loss(REAL + 17, REAL).item() == pytest.approx(0, abs=1e-5)
