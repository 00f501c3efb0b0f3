"""The log of steps, cut back where a run goes on."""

import json
import math
from pathlib import Path

import pytest

from upscale_cli.errors import ResourceError
from upscale_cli.training.metrics_log import MetricsLog
from upscale_cli.training.watch import Progress


def _steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_one_line_a_step_with_what_was_measured(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, after=0)
    log.write(Progress(1, 1e-4, {"l1": 2.5, "total": 3.0}, 0.25))
    log.write(Progress(2, 9e-5, {"l1": 2.0, "total": 2.5}, 0.25, {"psnr": 24.5}))
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {"step": 1, "lr": 1e-4, "seconds": 0.25, "l1": 2.5, "total": 3.0}
    assert second["validation"] == {"psnr": 24.5}


def test_what_json_has_no_figure_for_is_null(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    MetricsLog(path, after=0).write(Progress(1, 1e-4, {"total": math.nan}, 0.1, {"psnr": math.inf, "ssim": 1.0}))
    read = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (read["total"], read["validation"]) == (None, {"psnr": None, "ssim": 1.0})


def test_a_resumed_log_drops_what_was_lost_and_half_lines(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, after=0)
    for step in range(1, 8):
        log.write(Progress(step, 1e-4, {"total": 1.0}, 0.1))
    with path.open("ab") as file:
        file.write(b'{"step": 8, "lr\xff')
    resumed = MetricsLog(path, after=5)
    assert _steps(path) == [1, 2, 3, 4, 5]
    resumed.write(Progress(6, 1e-4, {"total": 1.0}, 0.1))
    assert _steps(path) == [1, 2, 3, 4, 5, 6]


def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path: Path):
    log = MetricsLog(tmp_path / "metrics.jsonl", after=0)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(ResourceError, match=r"metrics\.jsonl"):
        log.write(Progress(1, 1e-4, {"total": 1.0}, 0.1))
    with pytest.raises(ResourceError, match=r"metrics\.jsonl"):
        MetricsLog(tmp_path / "metrics.jsonl", after=1)
