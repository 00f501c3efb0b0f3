"""The table of estimates: what a line of it holds."""

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_line_has_means_extremes_and_how_many_were_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("estimates")
    assert benchmark.row("a", [1.0, 3.0], [30, None]) == "| a | 2.0 ± 1.0 | 1.0 to 3.0 | 30.0 ± 0.0 | 1 of 2 |"
    assert benchmark.row("b", [0.0], [None]) == "| b | 0.0 ± 0.0 | 0.0 to 0.0 |  | 0 of 1 |"


def test_each_case_spoils_a_picture_of_a_quarter_of_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("estimates")
    hr = np.random.default_rng(0).integers(0, 256, (128, 96, 3), np.uint8)
    for name, fault in benchmark.cases().items():
        spoiled = fault(hr, np.random.default_rng(1))
        assert spoiled.shape == ((29, 19, 3) if "cut" in name else (32, 24, 3)), name
