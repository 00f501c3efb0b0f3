"""What the benchmarks make of what they have measured, and where they put it."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from upscale_cli.training.watch import Progress

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "training", raising=False)
    yield importlib.import_module("training")
    sys.modules.pop("training")


def test_the_table_has_medians_their_ratio_and_the_share_of_waiting(training: ModuleType):
    def steps(*seconds: float, waited: float) -> list[object]:
        return [training.Step(each, waited) for each in seconds]

    measured = {"plain": steps(3.0, 3.0, 90.0, waited=0.0), "ours": steps(1.5, 1.5, 1.0, waited=0.1)}
    lines = training.table(measured, "so").splitlines()
    assert lines[-2:] == ["| plain | 3 | 0.333 | 1.00 | 0.0% |", "| ours | 1.5 | 0.667 | 2.00 | 7.5% |"]


def test_the_recorder_keeps_times(training: ModuleType):
    recorder = training.Recorder()
    recorder.step(Progress(1, 1e-4, {}, 2.0, waited=0.5))
    assert recorder.steps == [training.Step(2.0, 0.5)]


def test_a_table_replaces_the_one_before_and_nothing_else(training: ModuleType, tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\nkept\n<!-- y: end -->\n")
    training.write(page, "x", "new")
    training.write(page, "x", "newer")
    assert page.read_text() == (
        "a\n<!-- x: begin -->\nnewer\n<!-- x: end -->\nb\n<!-- y: begin -->\nkept\n<!-- y: end -->\n"
    )


def test_every_measured_table_of_the_docs_has_rows():
    page = (BENCHMARKS.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    tables = re.findall(r"<!-- (.+?): begin -->(.*?)<!-- \1: end -->", page, flags=re.DOTALL)
    assert len(tables) > 5
    assert [name for name, text in tables if text.count("\n|") < 3] == []
