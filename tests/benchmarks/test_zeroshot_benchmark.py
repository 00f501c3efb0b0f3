"""The plain loop that `upscale zeroshot` is measured against does the very same steps."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.config import AdaptationSettings, GeneratorSettings
from upscale_cli.training.learner import Learner
from upscale_cli.training.processes import Processes

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SETTINGS = AdaptationSettings(generator=GeneratorSettings(features=16), patch=32, max_steps=3)


def test_both_learn_the_same(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    plain = importlib.import_module("zeroshot_plain").PlainLearning(pixels, SETTINGS, torch.device("cpu"))
    adaptation = Adaptation(pixels, SETTINGS)
    learner = Learner(adaptation, SETTINGS, Processes(torch.device("cpu")))
    start = adaptation.G_UP.model[0].weight.detach().clone()
    for number in range(SETTINGS.max_steps):
        assert plain.step(number) > 0
        learner.begin(number)
        adaptation.step(number, adaptation.draw(number, range(2)), learner.update)
        learner.end()
    weight = adaptation.G_UP.model[0].weight
    assert (weight - start).abs().max() > 1e-3
    torch.testing.assert_close(weight, plain.G_UP.model[0].weight, atol=1e-4, rtol=0)


def test_times_are_multiples_of_the_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("zeroshot")
    rows = benchmark.table({benchmark.PLAIN: [3.0, 1.0, 2.0], "ours": [0.5], benchmark.QUICK: [0.6]}).splitlines()[2:]
    assert rows == [
        "| (a) plain loop | 2.000 | 3,000 | 100.0 | 1.0 |",
        "| ours | 0.500 | 3,000 | 25.0 | 4.0 |",
        "| --recipe quick | 0.600 | 100 | 1.0 | 100.0 |",
    ]
