"""SRResCycGAN's training: its pictures, its objective in both forms, what it exports."""

import itertools
from collections.abc import Iterator, Mapping
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
from upscale_cli.losses.adversarial import ragan_discriminator_loss, ragan_generator_loss
from upscale_cli.losses.flat import FLAT_LEVELS
from upscale_cli.losses.similarity import ms_ssim_loss, ssim_loss
from upscale_cli.methods.srrescycgan.generator import Generator
from upscale_cli.methods.srrescycgan.losses import cycle_loss
from upscale_cli.methods.srrescycgan.training import Training, TrainingSettings, prepare
from upscale_cli.training.datasets import Batch

TWO = range(2)
SMALL = {"lr_generator": {"features": 4, "blocks": 1}, "discriminator": {"features": 2}}
EQ_3 = {"l1": 10, "tv": 1, "gan": 1, "gan_lr": 1, "per": 1, "cyc": 10}
EQ_10 = {"l1": 10, "tv": 1, "gan": 1, "gan_lr": 1, "cyc": 10, "ssim": 1, "msssim": 1}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are tiny: more than one thread only costs time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
        "method": "srrescycgan",
        "batch": 2,
        "patch": 8,
        "data": {"train": folder, "holdout": ["1"]},
        "generator": {"features": 8, "blocks": 2, "noise_estimate": "robust"},
    }
    settings = TrainingSettings.model_validate(tables | SMALL | values)
    return Training(settings, lambda text: None, Features() if settings.loss.per else None)


def _terms(training: Training, batch: Batch, number: int = 0) -> dict[str, dict[str, Tensor]]:
    """The terms that each group is updated by; nothing is updated."""
    seen: dict[str, dict[str, Tensor]] = {}

    def update(group: str, terms: Mapping[str, Tensor]) -> None:
        seen[group] = dict(terms)

    training.step(number, batch, update)
    return seen


def _of_generators(training: Training, batch: Batch) -> dict[str, Tensor]:
    return _terms(training, batch)["generators"]


def test_the_seed_decides_the_weights_and_the_batches(tmp_path: Path):
    first, again, other = (_prepare(tmp_path, seed=seed) for seed in (1, 1, 2))

    def weights(stage: Training) -> bytes:
        return b"".join(p.detach().numpy().tobytes() for p in stage.network.parameters())

    assert weights(first) == weights(again) != weights(other)
    assert torch.equal(first.draw(3, TWO).lr, again.draw(3, TWO).lr)
    assert not torch.equal(first.draw(3, TWO).hr, other.draw(3, TWO).hr)


def test_a_batch_is_paired_patches(tmp_path: Path):
    batch = _prepare(tmp_path).draw(0, TWO)
    assert batch.lr.shape == (2, 3, 8, 8)
    assert batch.hr.shape == (2, 3, 32, 32)


def test_the_losses_are_weighted_and_in_grey_levels(tmp_path: Path):
    plain = _prepare(tmp_path, loss={"l1": 1, "tv": 1})
    weighted = _prepare(tmp_path)
    batch = plain.draw(0, TWO)
    terms, tenfold = _of_generators(plain, batch), _of_generators(weighted, batch)
    assert tenfold["l1"].item() == pytest.approx(10 * terms["l1"].item(), rel=1e-6)
    assert tenfold["tv"].item() == pytest.approx(terms["tv"].item(), rel=1e-6)
    with torch.no_grad():
        x_hat = plain.network(batch.lr * 255)
    assert terms["l1"].item() == pytest.approx((x_hat - batch.hr * 255).abs().mean().item(), rel=1e-4)


def test_flat_colours_are_a_term_where_the_recipe_asks_for_it(tmp_path: Path):
    reflecting = {"features": 8, "blocks": 2, "noise_estimate": "robust", "decoder_padding": "reflect"}
    stage = _prepare(tmp_path, loss={"flat": 3}, generator=reflecting)
    batch = stage.draw(0, TWO)
    stage.network.state_dict()["alpha"].fill_(6.0)  # its bound depends a little on the size; here it never acts
    assert "flat" not in _of_generators(_prepare(tmp_path), batch)
    # A picture of one colour shows what the term must be: any size of it has the same difference in every pixel.
    differences = []
    for colour in itertools.product(FLAT_LEVELS, repeat=3):
        y = torch.tensor(colour)[None, :, None, None].expand(1, 3, 3, 5)
        with torch.no_grad():
            differences.append((stage.network(y)[0, :, 7, 11] - torch.tensor(colour)).abs().mean().item())
    assert _of_generators(stage, batch)["flat"].item() == pytest.approx(3 * np.mean(differences), rel=1e-4)


def test_every_parameter_gets_a_finite_gradient(tmp_path: Path):
    for precision in ("fp32", "bf16"):
        stage = _prepare(tmp_path, precision=precision)
        sum(_of_generators(stage, stage.draw(0, TWO)).values()).backward()
        gradients = {name: p.grad for name, p in stage.network.named_parameters()}
        assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients.values())
        assert all(bool((g != 0).any()) for name, g in gradients.items() if name != "alpha")


def test_reduced_precision_changes_the_losses_only_a_little(tmp_path: Path):
    full, reduced = (_prepare(tmp_path, precision=precision) for precision in ("fp32", "bf16"))
    batch = full.draw(0, TWO)
    a, b = (torch.stack(list(_of_generators(stage, batch).values())).detach() for stage in (full, reduced))
    assert torch.allclose(a, b, rtol=0.02)
    assert not torch.equal(a, b)


def test_a_few_steps_on_one_batch_lower_the_loss(tmp_path: Path):
    stage = _prepare(tmp_path)
    batch = stage.draw(0, TWO)
    optimiser = torch.optim.Adam(stage.network.parameters(), lr=2e-3)
    course = []
    for _ in range(25):
        total = sum(_of_generators(stage, batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        course.append(total.item())
    assert course[-1] < 0.8 * course[0]


def test_validation_looks_at_the_held_out_pictures_alike_each_time(tmp_path: Path):
    stage = _prepare(tmp_path)
    figures, samples = stage.validate(stage.network)
    assert list(figures) == ["psnr", "ssim"]
    assert 5 < figures["psnr"] < 60
    assert -1 < figures["ssim"] < 1
    assert stage.validate(stage.network).figures == figures
    bicubic, output, truth = np.split(samples["0"], 3, axis=1)
    assert output.shape == (80, 88, 3)
    assert np.array_equal(truth, np.asarray(Image.open(tmp_path / "1.png"))[:80, :88])
    assert not np.array_equal(bicubic, output)
    assert _prepare(tmp_path, data={"train": tmp_path}).validate(stage.network) == ({}, {})


def test_the_export_alone_is_enough_to_build_the_network_again(tmp_path: Path):
    stage = _prepare(tmp_path)
    path = tmp_path / "small.safetensors"
    stage.export(stage.network, path, 7)
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    settings = type(stage.settings.generator).model_validate_json(metadata["options"])
    about = {"method": "srrescycgan", "scale": "4", "recipe": "small", "steps": "7"}
    assert metadata == about | {"options": metadata["options"]}
    rebuilt = Generator(settings)
    rebuilt.load_state_dict(state)
    picture = torch.rand(1, 3, 9, 11) * 255
    with torch.no_grad():
        assert torch.equal(rebuilt(picture), stage.network(picture))


def test_only_what_a_term_needs_is_built(tmp_path: Path):
    def names(**values: Any) -> dict[str, list[str]]:
        return {name: list(group.networks) for name, group in _prepare(tmp_path, **values).groups.items()}

    assert names() == {"generators": ["G_SR"]}
    assert names(loss={"gan": 1}) == {"generators": ["G_SR"], "discriminators": ["D_x"]}
    assert names(loss={"cyc": 1}) == {"generators": ["G_SR", "G_LR"]}
    everything = {"generators": ["G_SR", "G_LR"], "discriminators": ["D_x", "D_y"]}
    assert names(loss=EQ_3) == names(loss=EQ_10) == everything
    unpaired = {"train": tmp_path, "source": tmp_path}
    assert names(data=unpaired) == {"generators": ["G_SR", "G_LR"], "discriminators": ["D_y"]}


@pytest.mark.parametrize("loss", [EQ_3, EQ_10], ids=["Eq. (3)", "Eq. (10)"])
def test_the_objective_is_the_papers(tmp_path: Path, loss: dict[str, float]):
    stage = _prepare(tmp_path, loss=loss)
    batch = stage.draw(0, TWO)
    terms = _terms(stage, batch)
    assert terms["generators"].keys() == loss.keys()
    assert terms["discriminators"].keys() == {"d_x", "d_y"}

    G_SR, G_LR, D_x, D_y = stage.G_SR, stage.G_LR, stage.D_x, stage.D_y
    assert G_LR is not None
    assert D_x is not None
    assert D_y is not None
    with torch.no_grad():
        x, y = batch.hr * 255, batch.lr * 255
        x_hat = G_SR(y)
        y_prime = G_LR(x_hat)
        expected = {
            "gan": ragan_generator_loss(D_x(x), D_x(x_hat)),
            "gan_lr": ragan_generator_loss(D_y(y), D_y(y_prime)),
            "cyc": 10 * cycle_loss(y_prime, y),
            "per": (F.avg_pool2d(x_hat / 255, 4) - F.avg_pool2d(x / 255, 4)).abs().mean(),
            "ssim": ssim_loss(x_hat, x),
            "msssim": ms_ssim_loss(x_hat, x),
        }
        judged = {
            "d_x": ragan_discriminator_loss(D_x(x), D_x(x_hat)),
            "d_y": ragan_discriminator_loss(D_y(y), D_y(y_prime)),
        }
    for name, value in terms["generators"].items():
        if name in expected:
            assert value.item() == pytest.approx(expected[name].item(), rel=1e-4, abs=1e-6), name
    for name, value in terms["discriminators"].items():
        assert value.item() == pytest.approx(judged[name].item(), rel=1e-4), name


def test_the_cycle_teaches_both_generators_and_the_discriminators_neither(tmp_path: Path):
    stage = _prepare(tmp_path, loss=EQ_10)
    terms = _terms(stage, stage.draw(0, TWO))
    terms["generators"]["cyc"].backward(retain_graph=True)
    for network in stage.groups["generators"].networks.values():
        assert any(p.grad is not None and bool((p.grad != 0).any()) for p in network.parameters())
    for network in stage.groups["generators"].networks.values():
        network.zero_grad(set_to_none=True)
    sum(terms["discriminators"].values()).backward()
    for network in stage.groups["generators"].networks.values():
        assert all(p.grad is None for p in network.parameters())
    for network in stage.groups["discriminators"].networks.values():
        assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gan_step_is_finite_and_moves_every_network(tmp_path: Path, precision: str):
    stage = _prepare(tmp_path, loss=EQ_10, precision=precision)
    terms = _terms(stage, stage.draw(0, TWO))
    assert all(term.dtype == torch.float32 for group in terms.values() for term in group.values())
    for group, networks in stage.groups.items():
        sum(terms[group].values()).backward(inputs=[p for n in networks.networks.values() for p in n.parameters()])
        for network in networks.networks.values():
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            assert gradients
            assert all(bool(torch.isfinite(g).all()) for g in gradients)


def test_a_source_domain_teaches_the_lr_generator_first(tmp_path: Path):
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(2):
        noise = np.random.default_rng(9 + number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    stage = _prepare(tmp_path, data={"train": tmp_path, "source": folder}, source={"warmup": 5})
    batch = stage.draw(0, TWO)
    assert batch.source is not None
    assert batch.source.shape == batch.lr.shape

    early, late = _terms(stage, batch, 4), _terms(stage, batch, 5)
    assert early["generators"].keys() == {"source", "gan_lr"}
    assert early["discriminators"].keys() == {"d_y"}
    assert late["generators"].keys() == {"source", "gan_lr", "l1", "tv"}
    assert stage.G_LR is not None
    with torch.no_grad():
        spoilt = stage.G_LR(batch.hr * 255).clamp(0, 255).round()
        x_hat = stage.G_SR(spoilt)
    assert late["generators"]["l1"].item() == pytest.approx(10 * (x_hat - batch.hr * 255).abs().mean().item(), rel=1e-4)
    # What G_SR learns from must not move with G_SR's own loss.
    late["generators"]["l1"].backward()
    assert all(p.grad is None for p in stage.G_LR.parameters())


def test_a_patch_that_cannot_be_halved_is_refused(tmp_path: Path):
    with pytest.raises(ValidationError, match="patch = 12 must be a multiple of 8"):
        _prepare(tmp_path, patch=12, loss={"gan": 1})


def test_without_vgg_a_perceptual_recipe_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("UPSCALE_OFFLINE", "1")
    settings = _prepare(tmp_path).settings
    perceptual = settings.model_copy(update={"loss": settings.loss.model_copy(update={"per": 1.0})})
    with pytest.raises(WeightsError, match=r"loss\.per needs VGG-19") as caught:
        prepare(perceptual, lambda text: None)
    assert "srrescycgan-aim.toml" in caught.value.hint


def test_the_cycle_is_a_mean_difference():
    y = torch.full((2, 3, 4, 5), 100.0)
    y_prime = y.clone()
    y_prime[0] += 6
    assert cycle_loss(y_prime, y).item() == 3
    assert cycle_loss(y, y).item() == 0
