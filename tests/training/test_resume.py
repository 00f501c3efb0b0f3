"""A run that is killed and resumed ends with the very bits of one that was not."""

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_runs import GAN, Silent, processes, train_here, write_recipe, write_unpaired_recipe

from upscale_cli.errors import TrainingStateError
from upscale_cli.services.train_method import train_from_recipe
from upscale_cli.training.state import load_newest, saved_states

KILLS = 10
# The second has all four networks, batch norm among them, so that its states are of other kinds and longer to write.
RUNS = [(300, 40, ["ema=0.99"]), (120, 12, [*GAN, "data.mixup=0.5", "ema=0.9"])]


def _finish(*arguments: Any, **options: Any) -> None:
    process = processes.Process(target=train_here, args=arguments, kwargs=options)
    process.start()
    process.join(120)
    assert process.exitcode == 0


def _kill(recipe: Path, folder: Path, overrides: list[str], steps: int, delay: float) -> None:
    """Starts or resumes the run, and kills it `delay` seconds after so many of its steps."""
    log = folder / "metrics.jsonl"
    earlier = log.stat().st_ino if log.exists() else 0
    states = saved_states(folder)
    start = load_newest(folder, pytest.fail).step if states else 0
    process = processes.Process(target=train_here, args=(recipe, folder, overrides), kwargs={"resume": bool(states)})
    process.start()
    # A resumed run begins its log anew; until then the old one says how far the killed run had come.
    while not (log.exists() and log.stat().st_ino != earlier and _lines(log) >= start + steps):
        assert process.is_alive()
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def _losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return {line["step"]: line["total"] for line in lines}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("steps, between, overrides", RUNS, ids=["one network", "four networks"])
def test_killed_ten_times_is_bitwise_the_unbroken_run(tmp_path: Path, steps: int, between: int, overrides: list[str]):
    recipe = write_recipe(tmp_path, max_steps=steps, save_every=between // 3)
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    _finish(recipe, unbroken, [*overrides, "data.workers=0"])

    rng = random.Random(7)
    threaded = [*overrides, "data.workers=2"]  # the threads that draw ahead must not change what is drawn
    for _ in range(KILLS):
        _kill(recipe, broken, threaded, rng.randrange(between), rng.uniform(0, 0.02))
    assert steps // 10 < load_newest(broken, pytest.fail).step < steps
    _finish(recipe, broken, threaded, resume=True)

    states = [load_newest(folder, pytest.fail) for folder in (unbroken, broken)]
    assert states[0].step == steps
    assert _same(*states)  # weights, average, optimisers, batch norm's statistics, random states, the best one
    assert _losses(unbroken) == _losses(broken)
    assert _same(*(load_file(folder / "tiny.safetensors") for folder in (unbroken, broken)))


def test_a_run_killed_before_its_first_interval_can_be_resumed(tmp_path: Path):
    recipe = write_recipe(tmp_path, max_steps=4, save_every=1000)
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError):
        train_from_recipe(recipe, output=folder, device="cpu", watch=_Crashing())
    train_from_recipe(recipe, output=folder, resume=True, device="cpu", watch=Silent())
    assert load_newest(folder, pytest.fail).step == 4


def test_a_pool_of_older_pictures_is_gone_on_with_too(tmp_path: Path):
    recipe = write_unpaired_recipe(tmp_path, batch=20)  # the pool of 50 is full in the third of six steps
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train_from_recipe(recipe, output=whole, device="cpu", watch=Silent())
    train_from_recipe(recipe, output=stopped, device="cpu", watch=Silent(stop_at=4))
    half = load_newest(stopped, pytest.fail)
    assert half.step == 4
    assert half.state["networks"]["D_r"]["pool.count"] == 50
    train_from_recipe(recipe, output=stopped, resume=True, device="cpu", watch=Silent())
    assert _same(*(load_newest(folder, pytest.fail) for folder in (whole, stopped)))
    assert _losses(whole) == _losses(stopped)


class _Crashing(Silent):
    def step(self, progress: Any) -> None:
        raise RuntimeError("gone")


def test_nothing_to_resume(tmp_path: Path):
    recipe = write_recipe(tmp_path)
    with pytest.raises(TrainingStateError, match="nothing to resume"):
        train_from_recipe(recipe, output=tmp_path / "none", resume=True, device="cpu", watch=Silent())


def test_a_rotten_newest_checkpoint_is_skipped_aloud_and_the_run_ends_the_same(tmp_path: Path):
    recipe = write_recipe(tmp_path, max_steps=6, save_every=2)
    whole, mended = tmp_path / "whole", tmp_path / "mended"
    for folder in (whole, mended):
        train_from_recipe(recipe, output=folder, device="cpu", watch=Silent())
    newest = saved_states(mended)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    watch = Silent()
    train_from_recipe(recipe, output=mended, resume=True, device="cpu", watch=watch)
    assert watch.began == (4, 6, 2)
    assert any(newest.name in text and "falling back" in text for text in watch.messages)
    assert _same(*(load_newest(folder, pytest.fail) for folder in (whole, mended)))


@pytest.mark.parametrize("lacking", ["average", "optimisers", "random"])
def test_a_whole_state_that_lacks_a_part_is_skipped_too(tmp_path: Path, lacking: str):
    recipe, folder, watch = write_recipe(tmp_path, max_steps=4, save_every=2), tmp_path / "run", Silent()
    train_from_recipe(recipe, output=folder, device="cpu", watch=Silent())
    whole = load_newest(folder, pytest.fail)
    newest = saved_states(folder)[-1]
    state = torch.load(newest, weights_only=True)
    del state[lacking]
    torch.save(state, newest)
    train_from_recipe(recipe, output=folder, resume=True, device="cpu", watch=watch)
    assert watch.began == (2, 4, 2)
    assert any(f"{newest.name}: cannot be read ('{lacking}' is missing), falling" in text for text in watch.messages)
    assert _same(whole, load_newest(folder, pytest.fail))
