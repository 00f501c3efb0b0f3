"""A network learns from a trained one beside the photographs."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_runs import Silent, write_recipe, write_unpaired_recipe

from upscale_cli.errors import UsageError
from upscale_cli.networks.unit_range import UnitRange
from upscale_cli.services.train_method import TrainedReport, train_from_recipe
from upscale_cli.training.datasets import Batch
from upscale_cli.training.teacher import Taught


def _train(recipe: Path, output: Path, **options: Any) -> TrainedReport:
    return train_from_recipe(recipe, output=output, device="cpu", watch=Silent(), **options)


class White(nn.Module):
    """Sees nothing but white, and more than white."""

    def forward(self, x: Tensor, _body: torch.dtype) -> Tensor:
        return torch.full((len(x), 3, 2 * x.shape[2], 2 * x.shape[3]), 300.0)


def test_a_share_of_each_photograph_is_the_teachers():
    seen: list[Batch] = []
    pupil: Any = SimpleNamespace(
        groups={}, network=nn.Identity(), step=lambda _number, batch, _update: seen.append(batch)
    )
    batch = Batch(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 4, 4))
    Taught(pupil, UnitRange(White(), 2, white=255), 0.75, torch.float32).step(0, batch, lambda *_: None)
    assert torch.equal(seen[0].lr, batch.lr)
    assert torch.equal(seen[0].hr, torch.full((1, 3, 4, 4), 0.75)), "white is 1 and no more"
    assert torch.equal(batch.hr, torch.zeros(1, 3, 4, 4))


def test_who_knows_what_the_teacher_knows_has_nothing_to_learn(tmp_path: Path):
    first = _train(write_recipe(tmp_path), tmp_path / "first").outcome
    assert first is not None
    known = [f"start={first.exported}", "max_steps=1"]
    losses = {}
    for share in ("0.5", "1.0"):
        folder = tmp_path / share
        taught = [f"teacher={first.exported}", f"teacher_share={share}"]
        _train(write_recipe(tmp_path), folder, overrides=[*known, *taught])
        losses[share] = json.loads((folder / "metrics.jsonl").read_text())["l1"]
    assert losses["0.5"] > 1
    assert losses["1.0"] < 1e-3


def test_a_teacher_that_cannot_be_one(tmp_path: Path):
    with pytest.raises(UsageError, match=r"^teacher: .*nobody"):
        _train(write_recipe(tmp_path), tmp_path / "run", overrides=["teacher=nobody"])
    with pytest.raises(UsageError, match="teacher = dualsr-start: enlarges x2, this recipe's network x4"):
        _train(write_recipe(tmp_path), tmp_path / "run", overrides=["teacher=dualsr-start"])
    with pytest.raises(UsageError, match=r"teacher = rwsr-psnr: .* are no pairs"):
        _train(write_unpaired_recipe(tmp_path), tmp_path / "run", overrides=["teacher=rwsr-psnr"])
    assert not (tmp_path / "run").exists()
