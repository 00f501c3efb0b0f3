"""The loop on a network of one weight: what is learned, saved, stopped and refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_runs import Silent, make_pictures

from upscale_cli.errors import ExitCode, PictureError, TrainingStateError
from upscale_cli.training.datasets import Batch
from upscale_cli.training.learner import Learner
from upscale_cli.training.loop import BEST, TrainingReport, train
from upscale_cli.training.processes import Processes
from upscale_cli.training.settings import DataSettings, OptimiserSettings, RecipeSettings
from upscale_cli.training.state import Best, load_newest, saved_states
from upscale_cli.training.trainable import Group, Update, Validation


class OneWeight:
    """A `Trainable`: y = w x is to become y = 3 x, and a judge's weight to become -1.

    spoil: step -> what is added to the loss there.
    """

    def __init__(self, spoil: dict[int, Any] | None = None, width: int = 1, lr: float = 0.1) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Linear(width, 1, bias=False)
        self.judge = nn.Linear(1, 1, bias=False)
        optimiser = OptimiserSettings(lr=lr, schedule="cosine", final_lr=lr / 10)
        self.groups = {
            "generators": Group({"G": self.network}, optimiser),
            "discriminators": Group({"D": self.judge}, optimiser, adversary=True),
        }
        self._spoil = spoil or {}
        self.validated: list[float] = []

    def draw(self, step: int, samples: range) -> Batch:
        x = torch.full((len(samples), 1), 1.0 + step / 100)
        return Batch(x, 3 * x)

    def step(self, number: int, batch: Batch, update: Update) -> None:
        output = self.network(batch.lr)
        loss = (output - batch.hr).square().mean()
        spoil = self._spoil.get(number)
        judged = self.judge(output).mean() * 0  # a term that reaches both networks
        update("generators", {"fit": loss + judged, "spoil": loss * 0 if spoil is None else spoil(loss)})
        update("discriminators", {"d": (self.judge(output.detach() * 0 + 1) + 1).square().mean()})

    def validate(self, network: nn.Module) -> Validation:
        weight = next(network.parameters()).mean().item()
        self.validated.append(weight)
        return Validation({"nearness": -abs(weight - 3), "weight": weight})

    def export(self, network: nn.Module, path: Path, step: int) -> None:
        path.write_text(json.dumps([step, next(network.parameters()).mean().item()]))


def _settings(tmp_path: Path, **values: Any) -> RecipeSettings:
    pictures = make_pictures(tmp_path / "pictures", 1)
    common = {"name": "one", "method": "none", "max_steps": 100, "save_every": 10, "ema": 0.5} | values
    return RecipeSettings(data=DataSettings(train=pictures), **common)


def _train(trainable: OneWeight, settings: RecipeSettings, folder: Path, **options: Any) -> TrainingReport:
    folder.mkdir(exist_ok=True)
    return train(trainable, settings, folder, **{"resume": False, "watch": Silent()} | options)


def test_it_learns_validates_and_exports_the_average(tmp_path: Path):
    trainable, watch = OneWeight(), Silent()
    report = _train(trainable, _settings(tmp_path), tmp_path / "run", watch=watch)
    assert report.finished
    assert report.step == 100
    assert report.validation["weight"] == pytest.approx(3, abs=0.05)
    assert len(trainable.validated) == 10
    assert watch.began == (0, 100, 16)
    assert [progress.step for progress in watch.steps] == list(range(1, 101))
    step, weight = json.loads(report.exported.read_text())
    average = load_newest(tmp_path / "run", pytest.fail).state["average"]["weight"].item()
    assert (step, weight) == (100, average)


def test_the_average_follows_the_network_and_without_ema_is_the_network(tmp_path: Path):
    for ema, same in ((0.9, False), (0.0, True)):
        _train(OneWeight(), _settings(tmp_path, ema=ema, max_steps=3), tmp_path / f"run{ema}")
        state = load_newest(tmp_path / f"run{ema}", pytest.fail).state
        assert torch.equal(state["average"]["weight"], state["networks"]["G"]["weight"]) is same


@pytest.mark.parametrize("stop_by", ["watch", "time"])
def test_a_stop_saves_and_the_rest_is_as_if_there_had_been_none(tmp_path: Path, stop_by: str):
    settings = _settings(tmp_path)
    watch = Silent(stop_at=37 if stop_by == "watch" else 0)
    should_stop = (lambda: len(watch.steps) + 1 >= 37) if stop_by == "time" else (lambda: False)
    report = _train(OneWeight(), settings, tmp_path / "stopped", watch=watch, should_stop=should_stop)
    assert not report.finished
    assert report.step == 37
    assert report.exported.exists()
    assert load_newest(tmp_path / "stopped", pytest.fail).step == 37

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
    with pytest.raises(TrainingStateError, match=f"the {what} is not finite at step {step + 1} ") as caught:
        _train(OneWeight({step: spoil}), _settings(tmp_path), folder)
    assert caught.value.exit_code is ExitCode.TRAINING_STATE
    assert not (folder / "one.safetensors").exists()
    for path in saved_states(folder):
        state = torch.load(path, weights_only=True)
        assert state["step"] <= step
        weights = [state["average"]["weight"], state["networks"]["G"]["weight"]]
        assert all(bool(torch.isfinite(weight).all()) for weight in weights)
    assert load_newest(folder, pytest.fail).step == step // 10 * 10


def test_a_weight_that_overflows_in_a_step_never_reaches_a_file(tmp_path: Path):
    class Overflowing(OneWeight):
        def step(self, number: int, batch: Batch, update: Update) -> None:
            super().step(number, batch, update)
            if number == 11:
                nn.init.constant_(self.judge.weight, math.inf)

    with pytest.raises(TrainingStateError, match="D's weight is not finite after step 12"):
        _train(Overflowing(), _settings(tmp_path, save_every=6), tmp_path / "run")
    assert load_newest(tmp_path / "run", pytest.fail).step == 6
    assert json.loads((tmp_path / "run" / BEST).read_text())[0] == 6


def test_an_output_that_is_no_number_is_the_training_s_fault(tmp_path: Path):
    class Blind(OneWeight):
        def validate(self, network: nn.Module) -> Validation:
            raise PictureError("no numbers")

    with pytest.raises(TrainingStateError, match="validation after step 10: no numbers"):
        _train(Blind(), _settings(tmp_path), tmp_path / "run")
    assert load_newest(tmp_path / "run", pytest.fail).step == 0


def test_each_group_is_moved_by_its_own_terms_alone(tmp_path: Path):
    trainable = OneWeight()
    _train(trainable, _settings(tmp_path), tmp_path / "run")
    assert trainable.network.weight.item() == pytest.approx(3, abs=0.05)
    assert trainable.judge.weight.item() == pytest.approx(-1, abs=0.05)


def test_the_best_validation_is_kept_and_known_after_a_resume(tmp_path: Path):
    folder, settings = tmp_path / "run", _settings(tmp_path)
    trainable = OneWeight(lr=2.0)  # it shoots past 3 and comes back
    report = _train(trainable, settings, folder, watch=Silent(stop_at=65))
    nearness = [-abs(weight - 3) for weight in trainable.validated]
    best = nearness.index(max(nearness))
    assert report.best == Best(10 * (best + 1), "nearness", nearness[best])
    assert json.loads((folder / BEST).read_text()) == [report.best.step, trainable.validated[best]]
    assert report.best.step in {int(path.stem[5:]) for path in saved_states(folder)}
    assert load_newest(folder, pytest.fail).best == report.best

    resumed, whole, watch = OneWeight(lr=2.0), OneWeight(lr=2.0), Silent()
    reports = [
        _train(resumed, settings, folder, resume=True, watch=watch),
        _train(whole, settings, tmp_path / "whole"),
    ]
    assert reports[0].best == reports[1].best
    assert watch.best == report.best


def test_a_best_validation_without_its_checkpoint_is_forgotten(tmp_path: Path):
    settings = _settings(tmp_path)
    _train(OneWeight(), settings, tmp_path / "run", watch=Silent(stop_at=37), slim=tmp_path / "slim")
    watch = Silent()
    report = _train(OneWeight(), settings, tmp_path / "slim", resume=True, watch=watch)
    assert watch.best is None
    assert report.best is not None
    assert json.loads((tmp_path / "slim" / BEST).read_text())[0] == report.best.step


def test_a_smaller_rate_on_resuming_takes_effect(tmp_path: Path):
    _train(OneWeight(), _settings(tmp_path), tmp_path / "run", watch=Silent(stop_at=10))
    before = load_newest(tmp_path / "run", pytest.fail).state["networks"]["G"]["weight"].item()
    _train(OneWeight(lr=1e-6), _settings(tmp_path, max_steps=11), tmp_path / "run", resume=True)
    after = load_newest(tmp_path / "run", pytest.fail).state["networks"]["G"]["weight"].item()
    assert 0 < abs(after - before) < 1e-5


def test_a_slim_state_keeps_the_generators_exactly_and_the_judges_nearly(tmp_path: Path):
    settings = _settings(tmp_path)
    _train(OneWeight(), settings, tmp_path / "run", watch=Silent(stop_at=37), slim=tmp_path / "slim")
    whole = load_newest(tmp_path / "run", pytest.fail).state
    saved = load_newest(tmp_path / "slim", pytest.fail)
    assert (saved.step, saved.slim) == (37, True)
    for exact in (saved.state["networks"]["G"], saved.state["average"]):
        assert exact["weight"].dtype == torch.float32
    assert torch.equal(saved.state["networks"]["G"]["weight"], whole["networks"]["G"]["weight"])
    assert torch.equal(saved.state["average"]["weight"], whole["average"]["weight"])
    moments = [state["optimisers"]["generators"][0]["exp_avg"] for state in (saved.state, whole)]
    assert torch.equal(*moments)
    judge = saved.state["networks"]["D"]["weight"]
    assert judge.dtype == torch.bfloat16
    assert judge.item() == pytest.approx(whole["networks"]["D"]["weight"].item(), rel=2**-8)
    assert saved.state["optimisers"]["discriminators"] == {}

    watch = Silent()
    report = _train(OneWeight(), settings, tmp_path / "slim", resume=True, watch=watch)
    assert report.finished
    assert any("slim state" in text for text in watch.messages)
    assert report.validation["weight"] == pytest.approx(3, abs=0.05)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path):
    settings = _settings(tmp_path, max_steps=2)
    _train(OneWeight(), settings, tmp_path / "run")
    with pytest.raises(TrainingStateError, match=r"weight is \(1, 1\) there and \(1, 2\) in this recipe"):
        _train(OneWeight(width=2), settings, tmp_path / "run", resume=True)


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path):
    settings = _settings(tmp_path, max_steps=2)
    _train(OneWeight(), settings, tmp_path / "run")
    other = OneWeight()
    other.groups.pop("discriminators")
    with pytest.raises(TrainingStateError, match=r"it holds G, D, average, this recipe trains G, average"):
        _train(other, settings, tmp_path / "run", resume=True)


def test_clipping_bounds_the_gradient(tmp_path: Path):
    moments = []
    for clip_norm in (0.0, 1e-3):
        trainable = OneWeight()
        group = Group({"G": trainable.network}, OptimiserSettings(clip_norm=clip_norm))
        trainable.groups = {"generators": group}
        learner = Learner(trainable, _settings(tmp_path), Processes(torch.device("cpu")))
        learner.update("generators", {"loss": trainable.network(torch.full((1, 1), 100.0)).square().sum()})
        moments.append(abs(trainable.network.weight.grad.item()))
    assert moments[0] > 1
    assert moments[1] == pytest.approx(1e-3, rel=1e-3)


class TwoTogether(OneWeight):
    """Generator and judge learn by one loss, each at its own rate."""

    def __init__(self) -> None:
        super().__init__()
        quick = OptimiserSettings(lr=0.1, schedule="linear")
        self.groups = {
            "generators": Group({"G": self.network}, quick),
            "discriminators": Group({"D": self.judge}, quick.model_copy(update={"lr": 0.01})),
        }

    def step(self, number: int, batch: Batch, update: Update) -> None:
        update(("generators", "discriminators"), {"fit": (self.judge(self.network(batch.lr)) - 5).square().mean()})


def test_groups_that_learn_together_share_a_loss_and_keep_their_rates(tmp_path: Path):
    trainable = TwoTogether()
    weights = [network.weight.detach().clone() for network in (trainable.network, trainable.judge)]  # type: ignore[union-attr]
    _train(trainable, _settings(tmp_path, max_steps=1), tmp_path / "run")
    moved = [
        (network.weight - before).abs().item()  # type: ignore[operator]
        for network, before in zip((trainable.network, trainable.judge), weights, strict=True)
    ]
    assert moved == pytest.approx([0.1, 0.01], rel=1e-3)  # Adam's first step is as long as the rate
