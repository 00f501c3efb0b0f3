"""Adversarial and structural terms against numbers from the authors' own loss classes.

srrescycgan_gan_losses.npz: logits_real, logits_fake (5, 1) and what each loss makes of them; high_pass_9, of `fake` in
srrescycgan_losses.npz; ssim, of the first of its pictures.  ms_ssim: two pictures of scikit-image, by an independent
implementation (pytorch-msssim 1.0.0, in float64), since the authors published none.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from upscale_cli.losses.adversarial import gan_loss, ragan_discriminator_loss, ragan_generator_loss, relativistic
from upscale_cli.losses.similarity import ms_ssim_loss, ssim_loss
from upscale_cli.networks.high_frequencies import high_frequencies

GOLDEN = np.load(Path(__file__).with_name("srrescycgan_gan_losses.npz"))
PICTURES = np.load(Path(__file__).with_name("srrescycgan_losses.npz"))
REAL, FAKE = (torch.from_numpy(GOLDEN[name]) for name in ("logits_real", "logits_fake"))


def _golden(name: str) -> object:
    return pytest.approx(float(GOLDEN[name]), rel=1e-5)


def test_the_plain_adversarial_loss():
    assert gan_loss(REAL, real=True).item() == _golden("gan_real")
    assert gan_loss(FAKE, real=False).item() == _golden("gan_fake")


def test_both_sides_of_the_relativistic_loss():
    # The released code takes half of each sum.
    assert ragan_generator_loss(REAL, FAKE).item() / 2 == _golden("ragan_generator")
    assert ragan_discriminator_loss(REAL, FAKE).item() / 2 == _golden("ragan_discriminator")


def test_each_part_of_the_relativistic_loss():
    assert gan_loss(relativistic(REAL, FAKE), real=True).item() == _golden("ragan_discriminator_real")
    assert gan_loss(relativistic(FAKE, REAL), real=False).item() == _golden("ragan_discriminator_fake")


def test_what_the_released_discriminator_sees():
    seen = high_frequencies(torch.from_numpy(PICTURES["fake"]), 9, count_border=True)
    torch.testing.assert_close(seen, torch.from_numpy(GOLDEN["high_pass_9"]), atol=1e-3, rtol=0)


def test_ssim_is_the_released_metric():
    fake, real = (torch.from_numpy(PICTURES[name][:1]) for name in ("fake", "real"))
    assert 1 - ssim_loss(fake, real).item() == _golden("ssim")


def test_ms_ssim_is_what_another_implementation_gives():
    picture = torch.from_numpy(data.chelsea()[:176, :192].copy()).permute(2, 0, 1)[None]
    assert 1 - ms_ssim_loss(picture // 32 * 32, picture).item() == _golden("ms_ssim")
