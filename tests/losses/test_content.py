"""Losses that compare with the truth."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.losses.content import content_loss, feature_matching_loss, perceptual_loss

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_pixels_term_is_a_mean_difference():
    x = torch.zeros(2, 3, 4, 5)
    x_hat = x.clone()
    x_hat[0, :, 0] = -10
    assert content_loss(x_hat, x).item() == pytest.approx(10 / 8)


def test_the_perceptual_term_compares_features_of_0_to_1():
    x, x_hat = torch.full((2, 3, 8, 8), 255.0), torch.full((2, 3, 8, 8), 51.0)
    seen = []

    def phi(picture: Tensor) -> Tensor:
        seen.append(picture.max().item())
        return F.avg_pool2d(10 * picture, 4)

    assert perceptual_loss(x_hat, x, phi).item() == pytest.approx(8)
    assert sorted(seen) == pytest.approx([0.2, 1.0])


def test_the_perceptual_term_teaches_the_generator_only():
    x, x_hat = (torch.rand(1, 3, 8, 8).mul(255).requires_grad_() for _ in range(2))
    perceptual_loss(x_hat, x, lambda picture: picture.bfloat16().square()).backward()
    assert x.grad is None
    assert x_hat.grad is not None
    assert bool(torch.isfinite(x_hat.grad).all())
    assert bool((x_hat.grad != 0).any())


def test_feature_matching_weighs_every_stage_alike():
    real = [torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 2, 2)]
    fake = [torch.full((2, 4, 8, 8), 3.0), torch.full((2, 8, 2, 2), -1.0).bfloat16()]
    assert feature_matching_loss(fake, real).item() == pytest.approx(2)
