"""CycleSR's training: its course, its objective, the other columns of Table 1, what it measures and exports."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import ValidationError
from safetensors import safe_open
from torch import Tensor, nn

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.inference.device import Placement
from upscale_cli.losses.adversarial import ragan_discriminator_loss, ragan_generator_loss
from upscale_cli.methods import load_method
from upscale_cli.methods.cyclesr.training import Training, TrainingSettings, prepare
from upscale_cli.methods.cyclesr.translation import from_unit, to_unit
from upscale_cli.training.datasets import Batch

pytestmark = pytest.mark.usefixtures("one_thread")

TWO = range(2)
PRETRAINED, JOINT = 0, 5
SMALL = {
    "generator": {"features": 6, "blocks": 3},
    "translation": {"features": 4, "blocks": 1, "judge_features": 4},
    "discriminator": {"kind": "patch", "features": 4},
}
GAN = {"mse": 1e2, "per": 1, "gan": 0.05}
OTHERS = {
    "rwsr": {"scale": 3, "groups": 1, "blocks": 1, "features": 4, "reduction": 2},
    "srrescycgan": {"features": 4, "blocks": 1},
}


class Features(nn.Module):
    """Stands in for VGG-19."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 4)


def _folder(folder: Path, first: int, side: int, count: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        coarse = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
    return folder


def _prepare(folder: Path, messages: list[str] | None = None, data: Mapping[str, Any] | None = None, **values: Any):
    folders = {"train": _folder(folder / "hr", 0, 160), "lr": _folder(folder / "lr", 50, 40)}
    tables = {
        "name": "small",
        "method": "cyclesr",
        "batch": 2,
        "patch": 24,
        "pretrain_steps": JOINT,
        "data": {**folders, "holdout": ["1"], **(data or {})},
    }
    settings = TrainingSettings.model_validate(tables | SMALL | values)
    vgg = settings.loss.per and settings.loss.features == "vgg19"
    said = [] if messages is None else messages
    return Training(settings, said.append, Features() if vgg else None)


def _updates(training: Training, batch: Batch, number: int) -> dict[tuple[str, ...], dict[str, Tensor]]:
    """The terms of each update, by the groups that it is for, in their order; nothing is updated."""
    seen: dict[tuple[str, ...], dict[str, Tensor]] = {}

    def update(groups: str | Sequence[str], terms: Mapping[str, Tensor], /) -> None:
        seen[(groups,) if isinstance(groups, str) else tuple(groups)] = dict(terms)

    training.step(number, batch, update)
    return seen


def _gradients(term: Tensor, network: nn.Module) -> list[Tensor]:
    """Those that the term has in the network: none where it does not reach it."""
    found = torch.autograd.grad(term, list(network.parameters()), allow_unused=True, retain_graph=True)
    return [gradient for gradient in found if gradient is not None]


def test_a_batch_has_good_patches_their_synthetic_reduction_and_real_ones(tmp_path: Path):
    training = _prepare(tmp_path)
    batch = training.draw(0, TWO)
    assert batch.hr.shape == (2, 3, 96, 96)
    assert batch.lr.shape == (2, 3, 24, 24)
    assert batch.source is not None
    assert batch.source.shape == (2, 3, 24, 24)
    reduced = F.interpolate(batch.hr, scale_factor=1 / 4, mode="bicubic", antialias=True)
    assert (batch.lr - reduced)[:, :, 4:-4, 4:-4].abs().max() < 0.02


@pytest.mark.parametrize("kind", ["bilinear", "nearest"])
def test_synthetic_reduction_is_as_the_recipe_says(tmp_path: Path, kind: str):
    other = _prepare(tmp_path, data={"synthetic": kind}).draw(0, TWO)
    bicubic = _prepare(tmp_path).draw(0, TWO)
    assert torch.equal(other.hr, bicubic.hr)
    assert not torch.equal(other.lr, bicubic.lr)
    assert (other.lr - bicubic.lr).abs().mean() < 0.05


def test_plain_colours_are_reduced_like_good_pictures(tmp_path: Path):
    batch = _prepare(tmp_path, data={"plain_share": 1.0}).draw(0, range(4))
    assert all(len(torch.unique(patch.flatten(1), dim=1).T) <= 2 for patch in batch.hr)
    assert batch.source is not None
    assert all(len(torch.unique(patch.flatten(1), dim=1).T) > 2 for patch in batch.source)


def test_in_pretraining_each_stage_learns_by_itself(tmp_path: Path):
    training = _prepare(tmp_path)
    assert training.cycle is not None
    batch = training.draw(0, TWO)
    updates = _updates(training, batch, PRETRAINED)
    assert [(groups, tuple(terms)) for groups, terms in updates.items()] == [
        (("translators",), ("adv", "cyc", "idt")),
        (("network",), ("mse",)),
        (("judges",), ("d_r", "d_s")),
    ]
    mse = updates[("network",)]["mse"]
    assert _gradients(mse, training.cycle.G_s2r) == []
    assert all(_gradients(term, training.G_l2h) == [] for term in updates[("translators",)].values())
    with torch.no_grad():
        expected = 1e3 * (training.G_l2h(batch.lr) - batch.hr).square().mean()
    assert mse.item() == pytest.approx(expected.item(), rel=1e-4)


def test_jointly_the_super_resolution_loss_moves_what_makes_its_pictures(tmp_path: Path):
    training = _prepare(tmp_path)
    assert training.cycle is not None
    batch = training.draw(0, TWO)
    updates = _updates(training, batch, JOINT)
    assert [(groups, tuple(terms)) for groups, terms in updates.items()] == [
        (("network", "translators"), ("mse", "adv", "cyc", "idt")),
        (("judges",), ("d_r", "d_s")),
    ]
    mse = updates[("network", "translators")]["mse"]
    gradients = _gradients(mse, training.cycle.G_s2r)
    weights = [p for name, p in training.cycle.G_s2r.named_parameters() if name.endswith("weight")]
    assert sum(gradient.norm() > 1e-3 for gradient in gradients) >= len(weights)
    assert _gradients(mse, training.cycle.G_r2s) == []
    with torch.no_grad():
        approximated = (training.cycle.G_s2r(2 * batch.lr - 1) + 1) / 2
        expected = 1e3 * (training.G_l2h(approximated) - batch.hr).square().mean()
    assert mse.item() == pytest.approx(expected.item(), rel=1e-4)


def test_discriminators_learn_from_fakes_that_do_not(tmp_path: Path):
    training = _prepare(tmp_path, loss=GAN)
    assert training.cycle is not None
    assert training.D_h is not None
    updates = _updates(training, training.draw(0, TWO), JOINT)
    judged = sum(updates[("judges",)].values()) + updates[("discriminator",)]["d_h"]
    assert all(_gradients(judged, G) == [] for G in (training.cycle.G_s2r, training.cycle.G_r2s, training.G_l2h))
    assert all(_gradients(judged, D) for D in (training.cycle.D_r, training.cycle.D_s, training.D_h))


@pytest.mark.parametrize("features", ["vgg19", "discriminator"])
def test_cyclesrgan_pays_by_eq_4(tmp_path: Path, features: str):
    training = _prepare(tmp_path, loss={**GAN, "features": features})
    assert training.cycle is not None
    assert training.D_h is not None
    batch = training.draw(0, TWO)
    updates = _updates(training, batch, JOINT)
    with torch.no_grad():
        x_hat, x = training.G_l2h(to_unit(training.cycle.G_s2r(from_unit(batch.lr)))), batch.hr
        (*seen, c_fake), (*truth, c_real) = training.D_h.stages(x_hat), training.D_h.stages(x)
    per = (F.avg_pool2d(x_hat, 4) - F.avg_pool2d(x, 4)).abs().mean()
    if features == "discriminator":
        per = torch.stack([(a - b).abs().mean() for a, b in zip(seen, truth, strict=True)]).mean()
    terms = updates[("network", "translators")]
    expected = {
        "mse": 1e2 * (x_hat - x).square().mean(),
        "per": per,
        "gan": 0.05 * ragan_generator_loss(c_real, c_fake),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-3), name
    told_apart = ragan_discriminator_loss(c_real, c_fake)
    assert updates[("discriminator",)]["d_h"].item() == pytest.approx(told_apart.item(), rel=1e-3)


def test_apart_the_cyclegan_stays_as_it_is_once_its_pictures_are_learnt_from(tmp_path: Path):
    training = _prepare(tmp_path, course="apart")
    assert training.cycle is not None
    batch = training.draw(0, TWO)
    joint = _prepare(tmp_path)
    assert _updates(training, batch, PRETRAINED).keys() == _updates(joint, batch, PRETRAINED).keys()
    updates = _updates(training, batch, JOINT)
    assert updates.keys() == {("network",)}
    assert _gradients(updates[("network",)]["mse"], training.cycle.G_s2r) == []
    expected = _updates(joint, batch, JOINT)[("network", "translators")]["mse"]
    assert updates[("network",)]["mse"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("course", ["synthetic", "paired"])
def test_the_super_resolution_network_alone(tmp_path: Path, course: str):
    data = {} if course == "synthetic" else {"lr": _folder(tmp_path / "partners", 0, 40)}
    training = _prepare(tmp_path, course=course, data=data)
    assert not training.settings.translates
    assert training.groups.keys() == {"network"}
    batch = training.draw(0, TWO)
    assert batch.source is None
    for number in (PRETRAINED, JOINT):
        assert _updates(training, batch, number).keys() == {("network",)}
    assert training.validate(training.network).figures.keys() == {"psnr", "ssim"}


@pytest.mark.parametrize("course", ["synthetic", "paired"])
def test_alone_it_learns_from_the_first_half_too(tmp_path: Path, course: str):
    messages: list[str] = []
    data = {"lr": _folder(tmp_path / "partners", 0, 40), "halves": True}
    _prepare(tmp_path, messages, course=course, data=data)
    assert messages[-1].startswith("pictures: 2 to train on")  # of 4 that are not held out


def test_one_picture_has_no_half(tmp_path: Path):
    data = {"train": _folder(tmp_path / "one", 1, 160, 1), "holdout": [], "halves": True}
    with pytest.raises(UsageError, match="one picture to train on has no half"):
        _prepare(tmp_path, course="synthetic", data=data)


def test_syn_takes_a_recipe_whose_photos_are_not_there(tmp_path: Path):
    nowhere = {"lr": tmp_path / "nowhere"}
    assert _prepare(tmp_path, course="synthetic", data=nowhere).draw(0, TWO).source is None
    for course in ("joint", "apart", "paired"):
        with pytest.raises(ValidationError, match="nowhere: there is no such folder"):
            _prepare(tmp_path, course=course, data=nowhere)


def test_the_two_stages_have_their_own_rates(tmp_path: Path):
    groups = _prepare(tmp_path, loss=GAN, optimiser={"lr": 1e-4, "clip_norm": 50}).groups
    assert {name: group.optimiser.lr for name, group in groups.items()} == {
        "network": 1e-4,
        "translators": 2e-4,
        "judges": 2e-4,
        "discriminator": 1e-4,
    }
    assert {group.optimiser.clip_norm for group in groups.values()} == {50}
    assert [name for name, group in groups.items() if group.adversary] == ["judges", "discriminator"]


def test_discriminators_of_the_first_stage_may_have_a_rate_of_their_own(tmp_path: Path):
    groups = _prepare(tmp_path, translation={**SMALL["translation"], "judge_lr": 1e-3}).groups
    assert groups["judges"].optimiser.lr == 1e-3
    assert groups["translators"].optimiser.lr == 2e-4


def test_every_step_is_spoilt_by_noise_of_its_own(tmp_path: Path):
    training = _prepare(tmp_path, course="apart", translation={**SMALL["translation"], "noise": True, "norm": "none"})
    batch = training.draw(0, TWO)
    paid = [_updates(training, batch, number)[("network",)]["mse"].item() for number in (JOINT, JOINT, JOINT + 1)]
    assert paid[0] == paid[1] != paid[2]


def test_a_course_that_never_gets_beyond_its_pretraining_is_said(tmp_path: Path):
    messages: list[str] = []
    _prepare(tmp_path, messages, max_steps=JOINT)
    assert messages[-1].startswith("pretrain_steps = 5 are all of max_steps = 5")
    _prepare(tmp_path, messages, max_steps=JOINT + 1)
    assert messages[-1].startswith("pictures: ")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_term_is_float32_and_finite_in_any_precision(tmp_path: Path, precision: str):
    training = _prepare(tmp_path, loss=GAN, precision=precision)
    updates = _updates(training, training.draw(0, TWO), JOINT)
    terms = [term for terms in updates.values() for term in terms.values()]
    assert all(term.dtype == torch.float32 and bool(term.isfinite()) for term in terms)


@pytest.mark.parametrize("method", OTHERS)
def test_any_methods_network_can_be_the_second_stage(tmp_path: Path, method: str):
    training = _prepare(tmp_path, second_stage={"method": method, "options": OTHERS[method]})
    assert training.cycle is not None
    batch = training.draw(0, TWO)
    mse = _updates(training, batch, JOINT)[("network", "translators")]["mse"]
    assert _gradients(mse, training.cycle.G_s2r) != []
    path = tmp_path / "other.safetensors"
    training.export(training.network, path, 7)
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    assert (metadata["method"], json.loads(metadata["options"])) == (method, OTHERS[method])
    expected = load_method(method).expected_tensors(OTHERS[method])
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == dict(expected)


def test_the_export_alone_is_enough_to_build_the_network_again(tmp_path: Path):
    training = _prepare(tmp_path)
    path = tmp_path / "small.safetensors"
    training.export(training.network, path, 7)
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    about = {"method": "cyclesr", "scale": "4", "recipe": "small", "steps": "7"}
    assert metadata == about | {"options": metadata["options"]}
    method, options = load_method("cyclesr"), json.loads(metadata["options"])
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == dict(method.expected_tensors(options))
    method.build(state, options, Placement(torch.device("cpu")))


def test_held_out_pictures_are_measured_once_the_network_learns_from_translations(tmp_path: Path):
    training = _prepare(tmp_path)
    batch = training.draw(0, TWO)
    _updates(training, batch, PRETRAINED)
    before = training.validate(training.network)
    assert dict(before.figures) == {}
    assert "translation-0" in before.samples
    _updates(training, batch, JOINT)
    assert list(training.validate(training.network).figures) == ["psnr", "ssim", "drift"]


def test_partners_are_measured_as_they_are(tmp_path: Path):
    partners = {"validation": _folder(tmp_path / "v", 20, 160), "validation_lr": _folder(tmp_path / "v_lr", 20, 40)}
    training = _prepare(tmp_path, data={**partners, "holdout": []})
    alone = _prepare(tmp_path, course="synthetic", data={**partners, "holdout": []})
    alone.network.load_state_dict(training.network.state_dict())
    figures = training.validate(training.network.eval()).figures
    assert figures["psnr"] == pytest.approx(alone.validate(alone.network.eval()).figures["psnr"], abs=1e-3)
    assert "drift" in figures


@pytest.mark.parametrize(
    ("tables", "knob"),
    [
        ({}, "raise loss.mse (tenfold) or loss.identity"),
        ({"loss": {"cycle": 0}}, "raise loss.mse (tenfold) or loss.cycle and loss.identity"),
        ({"course": "apart"}, "begin anew with more pretrain_steps or a higher loss.identity"),
    ],
)
def test_a_cycle_that_has_collapsed_is_said_once_with_the_knob_to_turn(tmp_path: Path, tables: Any, knob: str):
    messages: list[str] = []
    training = _prepare(tmp_path, messages, **tables)
    assert training.cycle is not None
    with torch.no_grad():
        training.cycle.G_s2r.model[-2].bias.fill_(3)  # everything becomes white
    batch = training.draw(0, TWO)

    def warnings() -> list[str]:
        return [text for text in messages if "colours drift" in text]

    _updates(training, batch, PRETRAINED)
    training.validate(training.network)
    assert warnings() == []
    _updates(training, batch, JOINT)
    for _ in range(2):
        assert training.validate(training.network).figures["drift"] > 50
    assert len(warnings()) == 1
    assert warnings()[0].endswith(f": {knob}")


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ({"patch": 16}, "patch = 16: the CycleGAN needs 24 pixels at least"),
        ({"patch": 8, "translation": {"judge_halvings": 1, "halvings": 3}}, "needs 9 pixels at least"),
        ({"patch": 30, "loss": {"gan": 1}, "discriminator": {"kind": "vgg"}}, "must be a multiple of 32"),
        ({"loss": {"per": 1, "features": "discriminator"}}, "needs loss.gan"),
        ({"loss": {"mse": 0}}, "or nothing is learnt"),
        (
            {"course": "paired", "data": {"lr": None}},
            "data.lr is missing: with course = 'paired' it holds the partners",
        ),
        ({"course": "paired", "data": {"plain_share": 0.1}}, "needs synthetic low resolution"),
        ({"second_stage": {"options": {"blocks": 3}}}, "another method's"),
        ({"translation": {"skip_high_pass": True}}, "set that too"),
    ],
)
def test_settings_that_cannot_be_had_are_refused(tmp_path: Path, tables: dict[str, Any], fault: str):
    with pytest.raises(ValidationError, match=fault):
        _prepare(tmp_path, **tables)


def test_an_unknown_second_stage_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="unknown method 'rcna'"):
        _prepare(tmp_path, second_stage={"method": "rcna"})


def test_without_vgg_a_perceptual_recipe_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("UPSCALE_OFFLINE", "1")
    settings = _prepare(tmp_path, loss=GAN).settings
    with pytest.raises(WeightsError, match=r"loss\.per needs VGG-19") as caught:
        prepare(settings, lambda text: None)
    assert "cyclesr-ntire17.toml" in caught.value.hint
