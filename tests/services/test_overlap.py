"""The pipeline with slow stages of our own: it overlaps, keeps to its memory, and fails as it should."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from upscale_cli.errors import PictureError, ResourceError
from upscale_cli.imaging.picture import Header
from upscale_cli.services.inputs import Input
from upscale_cli.services.outputs import Target
from upscale_cli.services.picture_job import Job
from upscale_cli.services.pipeline import SHARE, run_overlapped
from upscale_cli.services.upscale_report import PictureReport

HEADER = Header("PNG", 1, 1, 8, "rgb", False)
TICK = 0.05


def targets(count: int) -> list[Target]:
    return [Target(Input(Path(f"{number}.png")), Path(f"out/{number}.png"), "PNG") for number in range(count)]


@dataclass
class Stages:
    """Every stage takes a moment, and notes when; `fails` raises in "<stage> <number>"."""

    fails: dict[str, BaseException] = field(default_factory=dict)
    sizes: Callable[[int], int] = lambda _: 1
    budget: int = 1000
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    held: int = 0
    most_held: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def inspect(self, target: Target) -> Job:
        number = int(target.source.stem)
        self._raise(f"inspect {number}")
        return Job(target, Path(), HEADER, (4, 4), (4, 4), self.sizes(number))

    def read(self, job: Job) -> Job:
        with self.lock:
            self.held += job.memory
            self.most_held = max(self.most_held, self.held)
        return self._step("read", job)

    def compute(self, job: Job) -> Job:
        return self._step("compute", job)

    def write(self, job: Job) -> PictureReport:
        self._step("write", job)
        with self.lock:
            self.held -= job.memory
        return PictureReport(job.target.source.name, str(job.target.path), "done")

    def _step(self, stage: str, job: Job) -> Job:
        name = f"{stage} {job.target.source.stem}"
        started = time.monotonic()
        time.sleep(TICK)
        self.spans[name] = started, time.monotonic()
        self._raise(name)
        return job

    def _raise(self, name: str) -> None:
        if name in self.fails:
            raise self.fails[name]

    def overlapped(self, one: str, other: str) -> bool:
        (start, end), (other_start, other_end) = self.spans[one], self.spans[other]
        return start < other_end and other_start < end


class Watch:
    def __init__(self) -> None:
        self.told: list[PictureReport] = []

    def started(self, name: str, number: int, count: int) -> None:
        pass

    def finished(self, report: PictureReport) -> None:
        self.told.append(report)


def run(stages: Stages, count: int) -> tuple[dict[str, str], ResourceError | None]:
    watch = Watch()
    reports, stopped = run_overlapped(stages, targets(count), watch)
    assert watch.told == reports
    assert len({report.input for report in reports}) == len(reports)
    return {Path(report.input).stem: report.status for report in reports}, stopped


def test_reading_computing_and_writing_overlap() -> None:
    stages = Stages()
    statuses, stopped = run(stages, 5)
    assert list(statuses.values()) == ["done"] * 5
    assert stopped is None
    assert sum(stages.overlapped(f"read {n + 1}", f"compute {n}") for n in range(4)) >= 3
    assert sum(stages.overlapped(f"write {n}", f"compute {n + 1}") for n in range(4)) >= 3


def test_pictures_that_do_not_fit_together_wait() -> None:
    stages = Stages(sizes=lambda number: 900 if number == 2 else 200)
    statuses, _ = run(stages, 5)
    assert list(statuses.values()) == ["done"] * 5
    assert stages.most_held == 900, "the large one is alone, the small ones share half of the budget"
    assert SHARE * stages.budget == 500
    assert not stages.overlapped("read 2", "write 1")
    assert not stages.overlapped("read 3", "write 2")


@pytest.mark.parametrize("stage", ["inspect", "read", "compute", "write"])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_picture_fails_alone(stage: str, number: int) -> None:
    stages = Stages({f"{stage} {number}": PictureError("it is damaged", "get another")}, sizes=lambda _: 400)
    statuses, stopped = run(stages, 4)
    assert statuses == {str(n): "failed" if n == number else "done" for n in range(4)}
    assert stopped is None


def test_a_failure_names_its_picture() -> None:
    watch = Watch()
    stages = Stages({"compute 0": PictureError("no numbers", "try"), "write 1": PictureError("out/1.png: no rights")})
    run_overlapped(stages, targets(2), watch)
    assert sorted(report.error for report in watch.told) == ["0.png: no numbers (try)", "out/1.png: no rights"]


@pytest.mark.parametrize("stage", ["compute", "write"])
def test_exhaustion_stops_the_batch_and_keeps_what_is_done(stage: str) -> None:
    stages = Stages({f"{stage} 1": ResourceError("no space left")})
    statuses, stopped = run(stages, 6)
    assert statuses["0"] == "done"
    assert statuses["1"] == "failed"
    assert "5" not in statuses
    assert stopped is not None
    assert stopped.message == "no space left"


@pytest.mark.parametrize("stage", ["inspect", "read", "compute", "write"])
def test_a_bug_comes_through_and_nothing_hangs(stage: str) -> None:
    """What was begun to be written is written."""
    stages = Stages({f"{stage} 1": KeyError("a bug")}, sizes=lambda _: 400)
    before = threading.active_count()
    with pytest.raises(KeyError):
        run_overlapped(stages, targets(4), Watch())
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "write 0" in stages.spans
