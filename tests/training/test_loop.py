"""The loop on a network of one weight: what is learned, saved, stopped and refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_runs import Silent, make_pictures

from upscale_cli.errors import ExitCode, TrainingStateError
from upscale_cli.training.datasets import Batch
from upscale_cli.training.loop import Learner, TrainingReport, train
from upscale_cli.training.settings import DataSettings, OptimiserSettings, RecipeSettings
from upscale_cli.training.state import load_newest, saved_states


class OneWeight:
    """A `Trainable`: y = w x is to become y = 3 x.  spoil: step -> what is added to the loss there."""

    def __init__(self, spoil: dict[int, Any] | None = None, width: int = 1) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Linear(width, 1, bias=False)
        self._spoil = spoil or {}
        self._steps: dict[float, int] = {}
        self.validated = 0

    def draw(self, step: int) -> Batch:
        x = torch.full((4, 1), 1.0 + step / 100)
        self._steps[x[0, 0].item()] = step
        return Batch(x, 3 * x)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        step = self._steps[batch.lr[0, 0].item()]
        loss = (self.network(batch.lr) - batch.hr).square().mean()
        spoil = self._spoil.get(step)
        return {"fit": loss, "spoil": loss * 0 if spoil is None else spoil(loss)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        self.validated += 1
        return {"weight": next(network.parameters()).mean().item()}

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        path.write_text(json.dumps([step, next(network.parameters()).mean().item()]))


def _settings(tmp_path: Path, **values: Any) -> RecipeSettings:
    pictures = make_pictures(tmp_path / "pictures", 1)
    optimiser = OptimiserSettings(**{"lr": 0.1, "schedule": "cosine", "final_lr": 0.01} | values.pop("optimiser", {}))
    common = {"name": "one", "method": "none", "max_steps": 100, "save_every": 10, "ema": 0.5} | values
    return RecipeSettings(data=DataSettings(train=pictures), optimiser=optimiser, **common)


def _train(trainable: OneWeight, settings: RecipeSettings, folder: Path, **options: Any) -> TrainingReport:
    folder.mkdir(exist_ok=True)
    return train(trainable, settings, folder, **{"resume": False, "watch": Silent()} | options)


def test_it_learns_validates_and_exports_the_average(tmp_path: Path):
    trainable, watch = OneWeight(), Silent()
    report = _train(trainable, _settings(tmp_path), tmp_path / "run", watch=watch)
    assert report.finished
    assert report.step == 100
    assert report.validation["weight"] == pytest.approx(3, abs=0.05)
    assert trainable.validated == 10
    assert watch.began == (0, 100, 16)
    assert [progress.step for progress in watch.steps] == list(range(1, 101))
    step, weight = json.loads(report.exported.read_text())
    average = load_newest(tmp_path / "run", pytest.fail)["average"]["weight"].item()
    assert (step, weight) == (100, average)


def test_the_average_follows_the_network_and_without_ema_is_the_network(tmp_path: Path):
    for ema, same in ((0.9, False), (0.0, True)):
        _train(OneWeight(), _settings(tmp_path, ema=ema, max_steps=3), tmp_path / f"run{ema}")
        state = load_newest(tmp_path / f"run{ema}", pytest.fail)
        assert torch.equal(state["average"]["weight"], state["network"]["weight"]) is same


@pytest.mark.parametrize("stop_by", ["watch", "time"])
def test_a_stop_saves_and_the_rest_is_as_if_there_had_been_none(tmp_path: Path, stop_by: str):
    settings = _settings(tmp_path)
    watch = Silent(stop_at=37 if stop_by == "watch" else 0)
    should_stop = (lambda: len(watch.steps) + 1 >= 37) if stop_by == "time" else (lambda: False)
    report = _train(OneWeight(), settings, tmp_path / "stopped", watch=watch, should_stop=should_stop)
    assert not report.finished
    assert report.step == 37
    assert report.exported.exists()
    assert load_newest(tmp_path / "stopped", pytest.fail)["step"] == 37

    resumed = _train(OneWeight(), settings, tmp_path / "stopped", resume=True)
    whole = _train(OneWeight(), settings, tmp_path / "whole")
    assert resumed.finished
    assert resumed.validation == whole.validation
    assert resumed.exported.read_text() == whole.exported.read_text()


def test_a_finished_run_resumed_exports_again(tmp_path: Path):
    settings = _settings(tmp_path, max_steps=5)
    first = _train(OneWeight(), settings, tmp_path / "run")
    content = first.exported.read_text()
    first.exported.unlink()
    again = _train(OneWeight(), settings, tmp_path / "run", resume=True)
    assert again.finished
    assert again.exported.read_text() == content


def _nan(loss: Tensor) -> Tensor:
    return loss * math.nan


def _infinite_gradient(loss: Tensor) -> Tensor:
    return (loss * 0).sqrt()  # 0, but its gradient is not finite


@pytest.mark.parametrize("spoil, what", [(_nan, "loss"), (_infinite_gradient, "gradient")])
@pytest.mark.parametrize("step", [19, 25])  # 19 is the step that a checkpoint follows
def test_what_is_not_finite_stops_the_run_and_never_reaches_a_file(tmp_path: Path, spoil: Any, what: str, step: int):
    folder = tmp_path / "run"
    with pytest.raises(TrainingStateError, match=f"the {what} is not finite at step {step}") as caught:
        _train(OneWeight({step: spoil}), _settings(tmp_path), folder)
    assert caught.value.exit_code is ExitCode.TRAINING_STATE
    assert not (folder / "one.safetensors").exists()
    for path in saved_states(folder):
        state = torch.load(path, weights_only=True)
        assert state["step"] <= step
        assert all(bool(torch.isfinite(state[part]["weight"]).all()) for part in ("network", "average"))
    assert load_newest(folder, pytest.fail)["step"] == step // 10 * 10


def test_a_smaller_rate_on_resuming_takes_effect(tmp_path: Path):
    _train(OneWeight(), _settings(tmp_path), tmp_path / "run", watch=Silent(stop_at=10))
    before = load_newest(tmp_path / "run", pytest.fail)["network"]["weight"].item()
    careful = _settings(tmp_path, optimiser={"lr": 1e-6, "final_lr": 1e-7, "betas": (0.5, 0.5)}, max_steps=11)
    _train(OneWeight(), careful, tmp_path / "run", resume=True)
    state = load_newest(tmp_path / "run", pytest.fail)
    assert abs(state["network"]["weight"].item() - before) < 1e-5
    assert tuple(state["optimiser"]["param_groups"][0]["betas"]) == (0.5, 0.5)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path):
    settings = _settings(tmp_path, max_steps=2)
    _train(OneWeight(), settings, tmp_path / "run")
    with pytest.raises(TrainingStateError, match=r"weight is \(1, 1\) there and \(1, 2\) in this recipe"):
        _train(OneWeight(width=2), settings, tmp_path / "run", resume=True)


def test_clipping_bounds_the_gradient(tmp_path: Path):
    moments = []
    for clip_norm in (0.0, 1e-3):
        network = nn.Linear(3, 1)
        learner = Learner(network, OptimiserSettings(clip_norm=clip_norm))
        learner.learn({"loss": network(torch.full((1, 3), 100.0)).square().sum()}, 1e-4, 0)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        moments.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
    assert moments[0] > 1
    assert moments[1] == pytest.approx(1e-3, rel=1e-3)
