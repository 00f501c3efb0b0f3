"""Two processes that torchrun starts do what one does with twice the batch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from training_runs import GAN, Silent, write_recipe, write_unpaired_recipe

from upscale_cli.services.train_method import train_from_recipe
from upscale_cli.training.processes import Processes, share_batch_norm
from upscale_cli.training.state import load_newest


def _train(recipe: Path, output: Path, *options: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    together = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [sys.executable, "-m", *(together if processes > 1 else []), "upscale_cli", "train", str(recipe)]
    done = subprocess.run(
        [*command, "-o", str(output), "--device", "cpu", *options], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return done


def _largest_difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    assert a.keys() == b.keys()
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


def _mean_difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    return torch.cat([(a[name].double() - b[name].double()).abs().flatten() for name in a]).mean().item()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("together")
    recipe = write_recipe(folder, max_steps=3, save_every=3)
    options = [part for override in GAN for part in ("--set", override)]
    _train(recipe, folder / "one", *options, "--set", "batch=4")
    return folder, _train(recipe, folder / "two", *options, "--set", "batch=2", processes=2)


def test_the_weights_are_those_of_one_process_with_twice_the_batch(runs: tuple[Path, Any]):
    states = [load_newest(runs[0] / name, pytest.fail).state for name in ("one", "two")]
    exported = [load_file(runs[0] / name / "tiny.safetensors") for name in ("one", "two")]
    assert _largest_difference(*exported) < 1e-5
    for name in ("G_SR", "G_LR", "D_x", "D_y"):
        one, two = (state["networks"][name] for state in states)
        # Adam makes a step of lr, 1e-4, even of a gradient that is rounding noise: single weights may differ by a few.
        assert _mean_difference(one, two) < 5e-6, name
    # Batch normalisation saw the samples of both.
    one, two = ({k: v for k, v in state["networks"]["D_x"].items() if "running" in k} for state in states)
    assert len(one) == 18
    assert _largest_difference(one, two) < 2e-3


def test_the_losses_are_those_of_the_whole_batch(runs: tuple[Path, Any]):
    one, two = (
        [json.loads(line) for line in (runs[0] / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(one) == len(two) == 3
    for name in ("l1", "tv", "gan", "gan_lr", "cyc", "d_x", "d_y"):
        assert two[0][name] == pytest.approx(one[0][name], rel=1e-4), name


def test_a_pool_of_older_pictures_is_that_of_all_processes(tmp_path: Path):
    recipe = write_unpaired_recipe(tmp_path, max_steps=3, save_every=3, pretrain_steps=1)
    _train(recipe, tmp_path / "one", "--set", "batch=36")
    _train(recipe, tmp_path / "two", "--set", "batch=18", processes=2)
    one, two = (load_newest(tmp_path / name, pytest.fail).state["networks"] for name in ("one", "two"))
    for name in ("D_r", "D_s"):
        assert one[name]["pool.count"] == two[name]["pool.count"] == 50
        pools = one[name]["pool.images"], two[name]["pool.images"]
        assert (pools[0] - pools[1]).abs().mean() < 1e-5
    for name in ("G_l2h", "G_s2r", "G_r2s", "D_r"):
        assert _mean_difference(one[name], two[name]) < 1e-5, name


def test_only_the_first_speaks(runs: tuple[Path, subprocess.CompletedProcess[str]]):
    done = runs[1]
    assert done.stdout.splitlines() == [str(runs[0] / "two" / "tiny.safetensors")]
    assert done.stderr.count("3 steps done") == 1


def _failing(recipe: Path, *launcher: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *launcher, "upscale_cli", "train", str(recipe), "--set", "bach=2"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | variables)


def test_a_fault_of_all_is_said_once(tmp_path: Path):
    together = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    done = _failing(write_recipe(tmp_path), *together)
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert "did you mean 'batch'?" in done.stderr


def test_a_fault_of_another_process_alone_is_said_too(tmp_path: Path):
    done = _failing(write_recipe(tmp_path), RANK="1", WORLD_SIZE="2")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "did you mean 'batch'?" in done.stderr


def test_another_number_of_processes_is_said_on_resuming(runs: tuple[Path, Any]):
    watch = Silent()
    recipe = runs[0] / "two" / "recipe.toml"
    train_from_recipe(recipe, output=runs[0] / "two", resume=True, device="cpu", watch=watch)
    assert any("1 instead of 2" in text for text in watch.messages)


def test_several_processes_stop_in_time_and_go_on_together(runs: tuple[Path, Any]):
    folder = runs[0] / "timed"
    recipe = write_recipe(runs[0], max_steps=2, save_every=2)
    options = [part for override in GAN for part in ("--set", override)]
    stopped = _train(recipe, folder, *options, "--max-time", "0s", processes=2)
    assert "stopped at step 1 of 2; to go on: the same torchrun with train " in stopped.stderr
    resumed = _train(folder / "recipe.toml", folder, "--resume", processes=2)
    assert "2 steps done" in resumed.stderr
    assert "Warning" not in stopped.stderr + resumed.stderr


def test_one_process_alone_needs_nobody():
    alone = Processes(torch.device("cpu"))
    assert alone.first
    assert alone.samples(4) == range(4)
    assert alone.agreed(True)
    assert not alone.agreed(False)
    values = [torch.ones(2), torch.zeros(3)]
    alone.average(values)
    assert values[0].tolist() == [1, 1]


def test_each_process_has_samples_of_its_own():
    parts = [Processes(torch.device("cpu"), rank, 3).samples(4) for rank in range(3)]
    assert [sample for part in parts for sample in part] == list(range(12))


LATE_FIRST = """
import sys, time
from pathlib import Path
import torch
from upscale_cli.training.processes import joined

done = Path(sys.argv[1])
with joined(torch.device("cpu")) as processes:
    if processes.first:
        time.sleep(1)
        done.touch()
sys.exit(0 if done.exists() else 3)
"""


def test_no_process_ends_before_the_first_has_written_everything(tmp_path: Path):
    script = tmp_path / "late.py"
    script.write_text(LATE_FIRST)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        [sys.executable, *command, str(tmp_path / "done")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("deviation", [0.0, 0.01, 1.0])
def test_batch_norm_is_exact_where_values_hardly_differ(deviation: float):
    x = 50 + deviation * torch.randn((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    alone, shared = nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3))
    share_batch_norm(shared)
    torch.testing.assert_close(shared(x), alone(x), atol=2e-3, rtol=0)
    torch.testing.assert_close(shared[0].running_var, alone.running_var)
