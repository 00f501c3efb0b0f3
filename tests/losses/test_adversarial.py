"""Adversarial losses: the papers' formulas, extremes, precision and directions."""

import math

import pytest
import torch

from upscale_cli.losses.adversarial import (
    R1_EVERY,
    gan_loss,
    judged,
    r1_terms,
    ragan_discriminator_loss,
    ragan_generator_loss,
    relativistic,
)
from upscale_cli.networks.patch_discriminator import PatchDiscriminator

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def test_the_relativistic_loss_is_the_papers_formula():
    real, fake = torch.randn(5, 1), torch.randn(5, 1)
    a, b = real.double(), fake.double()
    real_over_fake, fake_over_real = ((a - b.mean()).sigmoid(), (b - a.mean()).sigmoid())
    expected = -(1 - real_over_fake).log().mean() - fake_over_real.log().mean()
    assert ragan_generator_loss(real, fake).item() == pytest.approx(expected.item(), rel=1e-5)
    exchanged = -real_over_fake.log().mean() - (1 - fake_over_real).log().mean()
    assert ragan_discriminator_loss(real, fake).item() == pytest.approx(exchanged.item(), rel=1e-5)


def test_patches_are_compared_place_by_place():
    fake = torch.tensor([[[[1.0, 5.0]]], [[[3.0, 9.0]]]])
    assert relativistic(torch.zeros_like(fake), fake)[0].flatten().tolist() == [-2, -7]


def test_generator_and_discriminator_pull_in_opposite_directions():
    real, fake = torch.randn(4, 1).requires_grad_(), torch.randn(4, 1).requires_grad_()
    of_real, of_fake = torch.autograd.grad(ragan_generator_loss(real, fake), [real, fake])
    assert bool((of_real > 0).all())
    assert bool((of_fake < 0).all())
    of_real, of_fake = torch.autograd.grad(ragan_discriminator_loss(real, fake), [real, fake])
    assert bool((of_real < 0).all())
    assert bool((of_fake > 0).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_certain_discriminator_gives_large_losses_and_no_infinite_ones(dtype: torch.dtype):
    real, fake = (torch.full((2, 1), level, dtype=dtype, requires_grad=True) for level in (1e4, -1e4))
    loss = ragan_generator_loss(real, fake)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(40_000, rel=0.01)
    assert fake.grad is not None
    assert bool(torch.isfinite(fake.grad).all())
    assert bool((fake.grad < 0).all())
    assert ragan_discriminator_loss(real, fake).item() == 0


def test_reduced_precision_is_left_before_anything_is_computed():
    logits = torch.randn(64).bfloat16()
    assert gan_loss(logits, real=True).item() == gan_loss(logits.float(), real=True).item()
    assert gan_loss(torch.zeros(3), real=False).item() == pytest.approx(math.log(2))


def test_judged_pictures_have_a_gradient_only_where_they_are_fake():
    D = PatchDiscriminator(2)
    fake, real = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32, requires_grad=True)
    seen, truth = judged(D, fake, real)
    assert len(seen) == len(truth) == 5
    assert torch.equal(seen[-1], D(fake))
    assert torch.equal(truth[-1], D(real))
    assert all(stage.requires_grad for stage in seen)
    assert not any(stage.requires_grad for stage in truth)


def test_r1_is_the_papers_formula_every_few_steps():
    slope, pictures = torch.randn(3, 4, 4, requires_grad=True), torch.rand(2, 3, 4, 4)

    def linear(x: torch.Tensor) -> torch.Tensor:  # its gradient at every picture is `slope`
        return (x * slope).sum((1, 2, 3), keepdim=True)

    (penalty,) = r1_terms(linear, pictures, 10, R1_EVERY).values()
    assert penalty.item() == pytest.approx(R1_EVERY * 10 / 2 * slope.square().sum().item(), rel=1e-5)
    penalty.backward()
    assert slope.grad is not None
    assert torch.allclose(slope.grad, R1_EVERY * 10 * slope.detach())
    assert r1_terms(linear, pictures, 10, R1_EVERY + 1) == {}
    assert r1_terms(linear, pictures, 0, R1_EVERY) == {}
