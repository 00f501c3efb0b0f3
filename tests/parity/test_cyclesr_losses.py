"""Eq. (2) and (4) against numbers from the code that the paper follows: CycleGAN's authors', and BasicSR's.

cyclesr_losses.npz: scores, and LSGAN's loss of them.  real_A, real_B (1, 32, 40, 3) uint8, weights of four small
networks, and every term of CycleGAN's objective, weighted (lambda 10, identity 0.5), its gradient's norm, and what the
discriminators pay.  srgan: two pictures (2, 3, 7, 9) in [0, 1], logits (4, 1), and BasicSR's losses of them.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import load_golden
from torch import Tensor

from upscale_cli.losses.adversarial import ragan_discriminator_loss, ragan_generator_loss
from upscale_cli.losses.content import mse_loss
from upscale_cli.methods.cyclesr.losses import lsgan_discriminator_loss, lsgan_loss
from upscale_cli.methods.cyclesr.training_settings import LossSettings, TranslationSettings
from upscale_cli.methods.cyclesr.translation import CycleGAN, Pictures

GOLDEN = np.load(Path(__file__).with_name("cyclesr_losses.npz"))

pytestmark = pytest.mark.usefixtures("one_thread")


def _golden(*names: str, rel: float = 2e-4) -> object:
    return pytest.approx(sum(float(GOLDEN[name]) for name in names), rel=rel)


def _tensor(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


@pytest.fixture(scope="module")
def cycle() -> CycleGAN:
    """CycleGAN's A is the synthetic kind, its B the real one; its G_A goes from A to B, and its D_A judges B."""
    made = CycleGAN(TranslationSettings(features=4, blocks=1, judge_features=4), 32)
    networks = {"netG_A": made.G_s2r, "netG_B": made.G_r2s, "netD_A": made.D_r.D, "netD_B": made.D_s.D}
    for name, network in networks.items():
        load_golden(network, GOLDEN, name)
    return made


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return Pictures(*(_tensor(name).permute(0, 3, 1, 2) / 127.5 - 1 for name in ("real_A", "real_B")))


def test_lsgan():
    scores = _tensor("scores")
    assert lsgan_loss(scores, real=True).item() == _golden("lsgan_target_True", rel=1e-5)
    assert lsgan_loss(scores, real=False).item() == _golden("lsgan_target_False", rel=1e-5)


def test_every_term_of_the_generators_and_their_gradient(cycle: CycleGAN, pictures: Pictures):
    terms = cycle.generator_terms(pictures, cycle.translated(pictures), LossSettings())
    assert terms["adv"].item() == _golden("loss_G_A", "loss_G_B")
    assert terms["cyc"].item() == _golden("loss_cycle_A", "loss_cycle_B")
    assert terms["idt"].item() == _golden("loss_idt_A", "loss_idt_B")
    total = torch.stack(list(terms.values())).sum()
    assert total.item() == _golden("loss_G")
    gradients = torch.autograd.grad(total, list(cycle.G_s2r.parameters()))
    assert torch.nn.utils.get_total_norm(gradients).item() == _golden("gradient_norm_netG_A", rel=0.01)


@torch.no_grad()
def test_what_the_discriminators_pay(cycle: CycleGAN, pictures: Pictures):
    fakes = cycle.translated(pictures)
    d_r = lsgan_discriminator_loss(cycle.D_r(pictures.real), cycle.D_r(fakes.real))
    d_s = lsgan_discriminator_loss(cycle.D_s(pictures.syn), cycle.D_s(fakes.syn))
    assert d_r.item() == _golden("loss_D_A")
    assert d_s.item() == _golden("loss_D_B")


def test_the_supervised_terms_are_basicsrs():
    assert mse_loss(_tensor("srgan.pred"), _tensor("srgan.target")).item() == _golden("srgan.mse", rel=1e-5)
    real, fake = _tensor("srgan.logits_real"), _tensor("srgan.logits_fake")
    # Its weight is 5e-3, of half of the paper's sum; the discriminator's two parts are each half as well.
    weighted = 5e-3 * ragan_generator_loss(real, fake) / 2
    assert weighted.item() == _golden("srgan.ragan_generator_weighted", rel=1e-5)
    told_apart = ragan_discriminator_loss(real, fake) / 2
    assert told_apart.item() == _golden("srgan.ragan_discriminator_real", "srgan.ragan_discriminator_fake", rel=1e-5)
