"""The table of exact tiles beside the whole picture."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_times_are_multiples_of_the_whole_picture_in_the_same_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("attention_tiles")
    times = {("fp32", "whole"): [2.0, 4.0, 9.0], ("fp32", "tiles of 8"): [5.0], ("bf16", "whole"): [1.0]}
    rows = ["| fp32, whole | 2.000 | 1.00 |", "| fp32, tiles of 8 | 2.500 | 1.25 |", "| bf16, whole | 0.500 | 1.00 |"]
    assert benchmark.table(times, 2.0).splitlines()[2:] == rows
