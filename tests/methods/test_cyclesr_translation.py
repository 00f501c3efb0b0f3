"""The CycleGAN's weights and what its discriminators are shown; its losses are compared with their authors' numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from upscale_cli.methods.cyclesr.losses import lsgan_discriminator_loss
from upscale_cli.methods.cyclesr.training_settings import LossSettings, TranslationSettings
from upscale_cli.methods.cyclesr.translation import CycleGAN, Pictures, from_unit, noise, to_unit
from upscale_cli.networks.patch_discriminator import Norm

pytestmark = pytest.mark.usefixtures("one_thread")


def _cycle(**settings: Any) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(TranslationSettings(features=4, blocks=1, judge_features=4, **settings), 24)


def _pictures(seed: int = 1, batch: int = 2) -> Pictures:
    random = torch.Generator().manual_seed(seed)
    return Pictures(*(torch.rand(batch, 3, 24, 24, generator=random) * 2 - 1 for _ in range(2)))


def test_weights_begin_as_cyclegans():
    for network in (_cycle().G_s2r, _cycle().D_s):
        weights = torch.cat([p.flatten() for name, p in network.named_parameters() if name.endswith("weight")])
        assert weights.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("weights", "terms"),
    [({"identity": 0}, {"adv", "cyc"}), ({"cycle": 0}, {"adv"}), ({}, {"adv", "cyc", "idt"})],
)
def test_a_weight_of_zero_leaves_its_term_out(weights: dict[str, float], terms: set[str]):
    cycle, pictures = _cycle(), _pictures()
    found = cycle.generator_terms(pictures, cycle.translated(pictures), LossSettings.model_validate(weights))
    assert found.keys() == terms


def test_each_direction_is_judged_by_its_own_discriminator():
    cycle, pictures = _cycle(), _pictures()
    fakes = cycle.translated(pictures)
    terms = cycle.discriminator_terms(pictures, fakes, (0, 0))
    with torch.no_grad():  # the pools are empty: the fakes themselves are shown
        d_r = lsgan_discriminator_loss(cycle.D_r(pictures.real), cycle.D_r(cycle.G_s2r(pictures.syn)))
        d_s = lsgan_discriminator_loss(cycle.D_s(pictures.syn), cycle.D_s(cycle.G_r2s(pictures.real)))
    assert terms["d_r"].item() == pytest.approx(d_r.item(), rel=1e-5)
    assert terms["d_s"].item() == pytest.approx(d_s.item(), rel=1e-5)


def test_older_fakes_are_shown_once_the_pool_is_full():
    cycle = _cycle()
    first, later = _pictures(1, 50), _pictures(2, 50)
    for step, pictures in enumerate((first, later)):
        cycle.discriminator_terms(pictures, pictures, (0, step))
    kept = cycle.D_r.pool.images
    old = sum(bool((kept[i] == first.real[i]).all()) for i in range(50))
    assert 10 < old < 45
    assert all(bool((kept[i] == torch.cat([first.real, later.real])).all((1, 2, 3)).any()) for i in range(50))


def test_the_pool_is_exchanged_by_the_step_alone():
    pools = []
    for _ in range(2):
        cycle = _cycle()
        for step in range(3):
            cycle.discriminator_terms(_pictures(step, 30), _pictures(step + 9, 30), (7, step))
        pools.append(cycle.D_s.pool.images.clone())
    assert torch.equal(*pools)


def test_approximations_are_in_0_to_1_and_of_the_pictures_size():
    y = torch.rand(1, 3, 30, 27)
    approximated = _cycle().approximated(y)
    assert approximated.shape == y.shape
    assert not approximated.requires_grad
    assert 0 <= approximated.min() <= approximated.max() <= 1
    np.testing.assert_allclose(to_unit(from_unit(y)), y, atol=1e-6)


def test_colours_cannot_drift_where_only_high_frequencies_are_added():
    for high_pass, least, most in ((False, 0.1, 9), (True, 0, 1e-5)):
        generator = _cycle(norm="none", halvings=0, skip=True, skip_high_pass=high_pass).G_s2r
        *_, last = (layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv2d))
        torch.nn.init.normal_(last.weight)
        torch.nn.init.constant_(last.bias, 0.7)
        flat = torch.full((1, 3, 40, 40), 0.2)
        assert least <= (generator(flat) - flat).abs()[..., 12:-12, 12:-12].max() <= most


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_with_a_skip_a_generator_begins_by_leaving_its_picture_alone(norm: Norm):
    cycle = _cycle(norm=norm, skip=True)
    y = torch.rand(4, 3, 30, 27)
    torch.testing.assert_close(cycle.approximated(y), y)
    assert (_cycle().approximated(y) - y).abs().mean() > 0.2


@torch.no_grad()
def test_noise_is_made_something_of_where_nothing_must_be_made_again():
    cycle, pictures = _cycle(norm="none", noise=True), _pictures()
    calm, *noisy = (cycle.translated(pictures, z) for z in (None, *(noise(pictures.syn.shape, (n,)) for n in (1, 2))))
    assert torch.equal(noisy[0].syn, noisy[1].syn)  # G_r2s is given none
    assert (noisy[0].real - noisy[1].real).abs().mean() > 0.01
    for fakes in (calm, *noisy):
        terms = cycle.generator_terms(pictures, fakes, LossSettings())
        again = cycle.G_s2r(fakes.syn) - pictures.real, cycle.G_r2s(fakes.real) - pictures.syn
        assert terms["cyc"].item() == pytest.approx(10 * sum(d.abs().mean().item() for d in again), rel=1e-4)


def test_only_the_discriminator_moves_noise():
    cycle, pictures = _cycle(norm="none", skip=True, noise=True), _pictures()
    fakes = cycle.translated(pictures, noise(pictures.syn.shape, (1,)))
    torch.testing.assert_close(fakes.given, fakes.real)
    terms = cycle.generator_terms(pictures, fakes, LossSettings())
    grain = list(cycle.G_s2r.get_submodule("grain").parameters())
    for name, moves in (("cyc", False), ("idt", False), ("adv", True)):
        gradients = torch.autograd.grad(terms[name], grain, allow_unused=True, retain_graph=True)
        assert any(g is not None and bool(g.any()) for g in gradients) is moves, name


@torch.no_grad()
def test_noise_begins_white_and_four_levels_strong_whatever_the_colour():
    cycle = _cycle(norm="none", skip=True, noise=True)
    for level in (0.1, 0.5, 0.9):
        grey = torch.full((1, 3, 64, 64), level)
        added = 255 * (cycle.approximated(grey) - grey)
        assert added.std().item() == pytest.approx(3.8, rel=0.1)
        assert (added[..., 1:] * added[..., :-1]).mean().abs() < 1


def test_what_is_looked_at_is_spoilt_by_the_same_noise_each_time():
    cycle, y = _cycle(norm="none", noise=True), torch.rand(2, 3, 24, 24)
    assert torch.equal(cycle.approximated(y), cycle.approximated(y))
    assert not torch.equal(cycle.approximated(y), cycle.approximated(y, noise(y.shape, (1,))))


@torch.no_grad()
def test_high_frequencies_alone_tell_nothing_of_colours():
    x = _pictures().real / 2
    for high_pass in (False, True):
        judge = _cycle(judge_high_pass=high_pass, judge_norm="none", judge_halvings=1).D_r
        warmer = x + torch.tensor([0.3, 0.0, -0.3])[:, None, None]
        assert torch.allclose(judge(x), judge(warmer), atol=1e-4) is high_pass


def test_instance_norm_knows_no_brightness_and_batch_norm_does():
    x = torch.rand(1, 3, 24, 24)
    both = torch.cat([x / 2, x / 2 + 0.5])
    for norm, same in (("instance", True), ("batch", False)):
        G = _cycle(norm=norm).G_s2r
        dark, bright = G(both)
        assert torch.allclose(dark, bright, atol=1e-3) is same


def test_to_look_at_translations_changes_no_statistics():
    cycle = _cycle(norm="batch")
    before = {name: value.clone() for name, value in cycle.G_s2r.state_dict().items()}
    cycle.approximated(torch.rand(2, 3, 24, 24))
    assert all(torch.equal(value, before[name]) for name, value in cycle.G_s2r.state_dict().items())
    assert cycle.G_s2r.training
