"""SRResCycGAN's supervised stage: its pictures, its objective, what it exports."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from upscale_cli.methods.srrescycgan.generator import Generator
from upscale_cli.methods.srrescycgan.training import FLAT_LEVELS, SupervisedStage, TrainingSettings, prepare


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are tiny: more than one thread only costs time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _prepare(folder: Path, **values: Any) -> SupervisedStage:
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
    return prepare(TrainingSettings.model_validate(tables | values), lambda text: None)


def test_the_seed_decides_the_weights_and_the_batches(tmp_path: Path):
    first, again, other = (_prepare(tmp_path, seed=seed) for seed in (1, 1, 2))

    def weights(stage: SupervisedStage) -> bytes:
        return b"".join(p.detach().numpy().tobytes() for p in stage.network.parameters())

    assert weights(first) == weights(again) != weights(other)
    assert torch.equal(first.draw(3).lr, again.draw(3).lr)
    assert not torch.equal(first.draw(3).hr, other.draw(3).hr)


def test_a_batch_is_paired_patches(tmp_path: Path):
    batch = _prepare(tmp_path).draw(0)
    assert batch.lr.shape == (2, 3, 8, 8)
    assert batch.hr.shape == (2, 3, 32, 32)


def test_the_losses_are_weighted_and_in_grey_levels(tmp_path: Path):
    plain = _prepare(tmp_path, loss={"l1": 1, "tv": 1})
    weighted = _prepare(tmp_path)
    batch = plain.draw(0)
    terms, tenfold = plain.losses(batch), weighted.losses(batch)
    assert tenfold["l1"].item() == pytest.approx(10 * terms["l1"].item(), rel=1e-6)
    assert tenfold["tv"].item() == pytest.approx(terms["tv"].item(), rel=1e-6)
    with torch.no_grad():
        x_hat = plain.network(batch.lr * 255)
    assert terms["l1"].item() == pytest.approx((x_hat - batch.hr * 255).abs().mean().item(), rel=1e-4)


def test_flat_colours_are_a_term_where_the_recipe_asks_for_it(tmp_path: Path):
    reflecting = {"features": 8, "blocks": 2, "noise_estimate": "robust", "decoder_padding": "reflect"}
    stage = _prepare(tmp_path, loss={"flat": 3}, generator=reflecting)
    batch = stage.draw(0)
    stage.network.state_dict()["alpha"].fill_(6.0)  # its bound depends a little on the size; here it never acts
    assert "flat" not in _prepare(tmp_path).losses(batch)
    # A picture of one colour shows what the term must be: any size of it has the same difference in every pixel.
    differences = []
    for colour in itertools.product(FLAT_LEVELS, repeat=3):
        y = torch.tensor(colour)[None, :, None, None].expand(1, 3, 3, 5)
        with torch.no_grad():
            differences.append((stage.network(y)[0, :, 7, 11] - torch.tensor(colour)).abs().mean().item())
    assert stage.losses(batch)["flat"].item() == pytest.approx(3 * np.mean(differences), rel=1e-4)


def test_every_parameter_gets_a_finite_gradient(tmp_path: Path):
    for precision in ("fp32", "bf16"):
        stage = _prepare(tmp_path, precision=precision)
        sum(stage.losses(stage.draw(0)).values()).backward()
        gradients = {name: p.grad for name, p in stage.network.named_parameters()}
        assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients.values())
        assert all(bool((g != 0).any()) for name, g in gradients.items() if name != "alpha")


def test_reduced_precision_changes_the_losses_only_a_little(tmp_path: Path):
    full, reduced = (_prepare(tmp_path, precision=precision) for precision in ("fp32", "bf16"))
    batch = full.draw(0)
    a, b = (torch.stack(list(stage.losses(batch).values())).detach() for stage in (full, reduced))
    assert torch.allclose(a, b, rtol=0.02)
    assert not torch.equal(a, b)


def test_a_few_steps_on_one_batch_lower_the_loss(tmp_path: Path):
    stage = _prepare(tmp_path)
    batch = stage.draw(0)
    optimiser = torch.optim.Adam(stage.network.parameters(), lr=2e-3)
    course = []
    for _ in range(25):
        total = sum(stage.losses(batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        course.append(total.item())
    assert course[-1] < 0.8 * course[0]


def test_validation_looks_at_the_held_out_pictures_alike_each_time(tmp_path: Path):
    stage = _prepare(tmp_path)
    score = stage.validate(stage.network)
    assert 5 < score["psnr"] < 60
    assert stage.validate(stage.network) == score
    assert _prepare(tmp_path, data={"train": tmp_path}).validate(stage.network) == {}


def test_the_export_alone_is_enough_to_build_the_network_again(tmp_path: Path):
    stage = _prepare(tmp_path)
    path = tmp_path / "small.safetensors"
    stage.export(stage.network, path, 7)
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    settings = type(stage.settings.generator).model_validate_json(metadata["options"])
    assert metadata == {"method": "srrescycgan", "recipe": "small", "steps": "7", "options": metadata["options"]}
    rebuilt = Generator(settings)
    rebuilt.load_state_dict(state)
    picture = torch.rand(1, 3, 9, 11) * 255
    with torch.no_grad():
        assert torch.equal(rebuilt(picture), stage.network(picture))
