"""The CycleGAN's weights and what its discriminators are shown; its losses are compared with their authors' numbers."""

import numpy as np
import pytest
import torch

from upscale_cli.methods.cyclesr.losses import lsgan_discriminator_loss
from upscale_cli.methods.cyclesr.training_settings import LossSettings, TranslationSettings
from upscale_cli.methods.cyclesr.translation import CycleGAN, Pictures, from_unit, to_unit

pytestmark = pytest.mark.usefixtures("one_thread")


def _cycle() -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(TranslationSettings(features=4, blocks=1, judge_features=4), 24)


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


def test_with_a_skip_a_generator_begins_by_leaving_its_picture_alone():
    torch.manual_seed(0)
    cycle = CycleGAN(TranslationSettings(features=4, blocks=1, judge_features=4, norm="batch", skip=True), 24)
    y = torch.rand(4, 3, 30, 27)
    assert (cycle.approximated(y) - y).abs().mean() < 0.1
    assert (_cycle().approximated(y) - y).abs().mean() > 0.2


def test_instance_norm_knows_no_brightness_and_batch_norm_does():
    x = torch.rand(1, 3, 24, 24)
    both = torch.cat([x / 2, x / 2 + 0.5])
    for norm, same in (("instance", True), ("batch", False)):
        torch.manual_seed(0)
        G = CycleGAN(TranslationSettings(features=4, blocks=1, judge_features=4, norm=norm), 24).G_s2r
        dark, bright = G(both)
        assert torch.allclose(dark, bright, atol=1e-3) is same


def test_to_look_at_translations_changes_no_statistics():
    cycle = CycleGAN(TranslationSettings(features=4, blocks=1, judge_features=4, norm="batch"), 24)
    before = {name: value.clone() for name, value in cycle.G_s2r.state_dict().items()}
    cycle.approximated(torch.rand(2, 3, 24, 24))
    assert all(torch.equal(value, before[name]) for name, value in cycle.G_s2r.state_dict().items())
    assert cycle.G_s2r.training
