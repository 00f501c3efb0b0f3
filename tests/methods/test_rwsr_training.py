"""RWSR's training: its two objectives, its two stages, what it exports."""

import itertools
from collections.abc import Mapping
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

from upscale_cli.errors import WeightsError
from upscale_cli.losses.adversarial import R1_EVERY
from upscale_cli.losses.flat import FLAT_LEVELS
from upscale_cli.losses.grid import grid_loss
from upscale_cli.losses.sharpening import sharpened
from upscale_cli.methods.rwsr.generator import Generator
from upscale_cli.methods.rwsr.training import FLAT_TURNS, Training, TrainingSettings, prepare
from upscale_cli.training.datasets import Batch

pytestmark = pytest.mark.usefixtures("one_thread")

TWO = range(2)
RELATIVISTIC = {"l1": 0.01, "per": 1, "gan": 0.005}
STANDARD = {"l1": 0.005, "per": 1, "gan": 0.005, "objective": "standard"}


class Features(nn.Module):
    """Stands in for VGG-19."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 4)


def _prepare(folder: Path, **values: Any) -> Training:
    for number in range(3):
        coarse = np.random.default_rng(number).integers(0, 256, (10, 10, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((90, 83), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    tables = {
        "name": "small",
        "method": "rwsr",
        "batch": 2,
        "patch": 8,
        "data": {"train": folder, "holdout": ["1"]},
        "generator": {"groups": 1, "blocks": 1, "features": 8, "reduction": 2},
        "discriminator": {"features": 2},
    }
    settings = TrainingSettings.model_validate(tables | values)
    vgg = settings.loss.per and settings.loss.features == "vgg19"
    return Training(settings, lambda text: None, Features() if vgg else None)


def _terms(training: Training, batch: Batch) -> dict[str, dict[str, Tensor]]:
    """The terms that each group is updated by; nothing is updated."""
    seen: dict[str, dict[str, Tensor]] = {}

    def update(group: str, terms: Mapping[str, Tensor]) -> None:
        seen[group] = dict(terms)

    training.step(0, batch, update)
    return seen


def test_the_first_stage_is_l1_alone_in_0_to_1(tmp_path: Path):
    stage = _prepare(tmp_path)
    batch = stage.draw(0, TWO)
    terms = _terms(stage, batch)
    with torch.no_grad():
        expected = (stage.G(batch.lr * 255) / 255 - batch.hr).abs().mean()
    assert terms.keys() == {"generator"}
    assert terms["generator"].keys() == {"l1"}
    assert terms["generator"]["l1"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_squared_term_is_what_psnr_counts(tmp_path: Path):
    stage = _prepare(tmp_path, loss={"mse": 3.0})
    batch = stage.draw(0, TWO)
    with torch.no_grad():
        expected = 3 * (stage.G(batch.lr * 255) / 255 - batch.hr).square().mean()
    assert _terms(stage, batch)["generator"]["mse"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_sharpened_originals_are_what_every_term_sees(tmp_path: Path):
    loss = {"l1": 1.0, "mse": 1.0, "ssim": 1.0, "gan": 1.0}
    plain, crisp = (_prepare(tmp_path, loss=loss | {"sharpen": amount}) for amount in (0.0, 0.8))
    batch = plain.draw(0, TWO)
    with_sharpened = Batch(batch.lr, sharpened(255 * batch.hr, 0.8, 4) / 255)
    expected, found = _terms(plain, with_sharpened), _terms(crisp, batch)
    for group, terms in expected.items():
        for name, term in terms.items():
            assert found[group][name].item() == pytest.approx(term.item(), rel=1e-4), name
    assert found["generator"]["l1"] > 1.01 * _terms(plain, batch)["generator"]["l1"]


@pytest.mark.parametrize("loss", [RELATIVISTIC, STANDARD], ids=["Eq. (3)", "Eq. (5)"])
def test_the_objective_is_the_papers(tmp_path: Path, loss: dict[str, Any]):
    stage = _prepare(tmp_path, loss=loss)
    batch = stage.draw(0, TWO)
    terms = _terms(stage, batch)
    assert stage.D is not None
    with torch.no_grad():
        fake, real = stage.G(batch.lr * 255) / 255, batch.hr
        c_fake, c_real = stage.D(fake).double(), stage.D(real).double()
    if "objective" in loss:
        as_real = -c_fake.sigmoid().log().mean()
        told_apart = -c_real.sigmoid().log().mean() - (1 - c_fake.sigmoid()).log().mean()
    else:
        real_over_fake, fake_over_real = (c_real - c_fake.mean()).sigmoid(), (c_fake - c_real.mean()).sigmoid()
        as_real = -(1 - real_over_fake).log().mean() - fake_over_real.log().mean()
        told_apart = -real_over_fake.log().mean() - (1 - fake_over_real).log().mean()
    expected = {
        "l1": loss["l1"] * (fake - real).abs().mean(),
        "per": (F.avg_pool2d(fake, 4) - F.avg_pool2d(real, 4)).abs().mean(),
        "gan": loss["gan"] * as_real,
    }
    assert terms["generator"].keys() == expected.keys()
    for name, value in expected.items():
        assert terms["generator"][name].item() == pytest.approx(value.item(), rel=1e-4), name
    assert terms["discriminator"]["d"].item() == pytest.approx(told_apart.item(), rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("loss", [RELATIVISTIC, STANDARD], ids=["relativistic", "standard"])
def test_each_side_learns_from_its_own_terms(tmp_path: Path, loss: dict[str, Any], precision: str):
    stage = _prepare(tmp_path, loss=loss, precision=precision)
    terms = _terms(stage, stage.draw(0, TWO))
    assert all(term.dtype == torch.float32 for group in terms.values() for term in group.values())
    assert stage.D is not None
    sum(terms["discriminator"].values()).backward()
    assert all(p.grad is None for p in stage.G.parameters())
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in stage.D.parameters())
    learning = [p for p in stage.G.parameters() if p.requires_grad]
    sum(terms["generator"].values()).backward(inputs=learning)
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in learning)


@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales_are_trained_too(tmp_path: Path, scale: int):
    small = {"groups": 1, "blocks": 1, "features": 8, "reduction": 2}
    stage = _prepare(tmp_path, generator={**small, "scale": scale})
    batch = stage.draw(0, TWO)
    assert batch.hr.shape == (2, 3, 8 * scale, 8 * scale)
    assert bool(torch.isfinite(_terms(stage, batch)["generator"]["l1"]))
    assert stage.validate(stage.network).figures["psnr"] > 5


def test_a_few_steps_on_one_batch_lower_the_loss(tmp_path: Path):
    stage = _prepare(tmp_path)
    batch = stage.draw(0, TWO)
    optimiser = torch.optim.Adam([p for p in stage.G.parameters() if p.requires_grad], lr=2e-3)
    course = []
    for _ in range(25):
        total = _terms(stage, batch)["generator"]["l1"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        course.append(total.item())
    assert course[-1] < 0.8 * course[0]


def test_the_export_alone_is_enough_to_build_the_network_again(tmp_path: Path):
    stage = _prepare(tmp_path)
    path = tmp_path / "small.safetensors"
    stage.export(stage.network, path, 7)
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    about = {"method": "rwsr", "scale": "4", "recipe": "small", "steps": "7"}
    assert metadata == about | {"options": metadata["options"]}
    rebuilt = Generator(type(stage.settings.generator).model_validate_json(metadata["options"]))
    rebuilt.load_state_dict(state)
    picture = torch.rand(1, 3, 9, 11) * 255
    with torch.no_grad():
        assert torch.allclose(rebuilt(picture), stage.network(picture), atol=1e-3)


def test_the_discriminator_stands_in_for_vgg(tmp_path: Path):
    loss = {"l1": 1, "per": 2, "gan": 0.1, "features": "discriminator", "ssim": 0.5}
    stage = _prepare(tmp_path, loss=loss, discriminator={"kind": "patch", "features": 4})
    batch = stage.draw(0, TWO)
    terms = _terms(stage, batch)["generator"]
    assert terms.keys() == {"l1", "ssim", "gan", "per"}
    assert stage.D is not None
    with torch.no_grad():
        fake, real = stage.G(batch.lr * 255) / 255, batch.hr
        *seen, _ = stage.D.stages(fake)
        *truth, _ = stage.D.stages(real)
    expected = 2 * sum((a - b).abs().mean() for a, b in zip(seen, truth, strict=True)) / len(seen)
    assert terms["per"].item() == pytest.approx(float(expected), rel=1e-4)
    terms["per"].backward()
    assert all(p.grad is not None for p in stage.G.parameters() if p.requires_grad)
    assert prepare(stage.settings, lambda text: None).D is not None  # without VGG-19 at hand


def test_the_discriminator_may_learn_faster(tmp_path: Path):
    settings = {"loss": {"gan": 0.1}, "optimiser": {"lr": 1e-4}}
    judge = {"kind": "unet", "features": 4}
    stage = _prepare(tmp_path, **settings, discriminator={**judge, "lr": 1e-3})
    assert {name: group.optimiser.lr for name, group in stage.groups.items()} == {
        "generator": 1e-4,
        "discriminator": 1e-3,
    }
    assert _prepare(tmp_path, **settings, discriminator=judge).groups["discriminator"].optimiser.lr == 1e-4


def test_r1_is_paid_every_few_steps(tmp_path: Path):
    stage = _prepare(
        tmp_path, loss={"gan": 0.1}, discriminator={"kind": "patch", "features": 4, "norm": "none", "r1": 5}
    )
    assert stage.D is not None
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in stage.D.modules())
    paid = []
    for step in range(R1_EVERY + 1):
        stage.step(step, stage.draw(step, TWO), lambda group, terms: paid.append((group, set(terms))))
    assert [terms for group, terms in paid if group == "discriminator"] == [
        {"d", "r1"},
        {"d"},
        {"d"},
        {"d"},
        {"d", "r1"},
    ]


def test_a_pattern_of_the_scales_period_costs(tmp_path: Path):
    stage = _prepare(tmp_path, loss={"l1": 1, "grid": 5})
    batch = stage.draw(0, TWO)
    with torch.no_grad():
        expected = 5 * grid_loss(stage.G(batch.lr * 255) / 255, batch.hr, 4)
    assert _terms(stage, batch)["generator"]["grid"].item() == pytest.approx(float(expected), rel=1e-4)


def test_all_flat_colours_have_their_turn(tmp_path: Path):
    generator = {"groups": 1, "blocks": 1, "features": 8, "reduction": 2, "padding": "replicate"}
    stage = _prepare(tmp_path, loss={"l1": 1, "flat": 2}, generator=generator)
    batch, terms = stage.draw(0, TWO), []

    def update(group: str, seen: Mapping[str, Tensor]) -> None:
        terms.append(seen["flat"].item())

    for step in range(FLAT_TURNS):
        stage.step(step, batch, update)
    colours = list(itertools.product(FLAT_LEVELS, repeat=3))
    expected = []
    for colour in torch.tensor(colours):
        flat = colour[None, :, None, None]
        with torch.no_grad():
            expected.append(2 * (stage.G(flat.expand(1, 3, 3, 3)) - flat).abs().mean().item() / 255)
    turns = [np.mean(expected[step::FLAT_TURNS]) for step in range(FLAT_TURNS)]
    assert terms == pytest.approx(turns, rel=1e-4)
    assert all({colour[2] for colour in colours[step::FLAT_TURNS]} == set(FLAT_LEVELS) for step in range(FLAT_TURNS))


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ({"loss": {"l1": 0}}, "or nothing is learnt"),
        ({"loss": {"flat": 1}}, "needs generator.padding = 'replicate'"),
        ({"loss": {"per": 1, "features": "discriminator"}}, "needs loss.gan"),
        ({"loss": {"gan": 1}, "discriminator": {"kind": "patch"}, "generator": {"scale": 2}}, "at least 24 pixels"),
    ],
)
def test_terms_that_cannot_be_had_are_refused(tmp_path: Path, tables: dict[str, Any], fault: str):
    with pytest.raises(ValidationError, match=fault):
        _prepare(tmp_path, **tables)


def test_a_patch_that_cannot_be_halved_is_refused(tmp_path: Path):
    with pytest.raises(ValidationError, match="patch = 12 times scale 4 must be a multiple of 32"):
        _prepare(tmp_path, patch=12, loss=RELATIVISTIC)


def test_without_vgg_a_perceptual_recipe_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("UPSCALE_OFFLINE", "1")
    settings = _prepare(tmp_path, loss=RELATIVISTIC).settings
    with pytest.raises(WeightsError, match=r"loss\.per needs VGG-19") as caught:
        prepare(settings, lambda text: None)
    assert "rwsr-psnr.toml" in caught.value.hint
