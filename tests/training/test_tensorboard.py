"""Curves and samples, read back by TensorBoard itself."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from upscale_cli.errors import ResourceError
from upscale_cli.training.tensorboard import EVERY, TensorBoardLog
from upscale_cli.training.watch import Progress


def _curve(folder: Path, tag: str) -> dict[int, float]:
    events = EventAccumulator(str(folder)).Reload()
    return {event.step: event.value for event in events.Scalars(tag)}


def _write(log: TensorBoardLog, steps: range, total: float) -> None:
    for step in steps:
        log.write(Progress(step, 1e-4, {"l1": step, "total": total}, 0.25))


def test_a_point_is_the_mean_of_the_steps_since_the_last(tmp_path: Path):
    log = TensorBoardLog(tmp_path / "tensorboard", after=0, batch=8)
    _write(log, range(1, 2 * EVERY + 4), 2.0)
    assert _curve(log_folder := tmp_path / "tensorboard", "loss/l1") == {EVERY: 5.5, 2 * EVERY: 15.5}
    log.close()
    log.close()
    assert _curve(log_folder, "loss/l1") == {EVERY: 5.5, 2 * EVERY: 15.5, 2 * EVERY + 3: 22.0}
    assert set(_curve(log_folder, "loss/total").values()) == {2.0}
    assert _curve(log_folder, "lr")[EVERY] == pytest.approx(1e-4)
    assert _curve(log_folder, "patches_per_second")[EVERY] == 32


def test_a_term_that_begins_later_is_the_mean_of_where_it_was(tmp_path: Path):
    log = TensorBoardLog(tmp_path, after=0, batch=1)
    for step in range(1, EVERY + 1):
        log.write(Progress(step, 1e-4, {"l1": 1.0} | ({"gan": float(step)} if step > EVERY - 2 else {}), 1.0))
    assert _curve(tmp_path, "loss/gan") == {EVERY: EVERY - 0.5}


def test_a_term_that_is_not_of_every_step_has_a_curve(tmp_path: Path):
    log = TensorBoardLog(tmp_path, after=0, batch=1)
    for step in range(1, EVERY + 1):
        log.write(Progress(step, 1e-4, {"l1": 1.0} | ({"r1": float(step)} if step % 4 == 1 else {}), 1.0))
    assert _curve(tmp_path, "loss/r1") == {EVERY: 5.0}


def test_validation_and_samples_are_there_at_once(tmp_path: Path):
    picture = np.random.default_rng(0).integers(0, 256, (12, 36, 3), dtype=np.uint8)
    log = TensorBoardLog(tmp_path, after=0, batch=8)
    log.write(Progress(1, 1e-4, {"total": 1.0}, 0.1))
    log.write(Progress(2, 1e-4, {"total": 1.0}, 0.1, {"psnr": 24.5, "ssim": 0.75}, {"cat": picture}))
    assert _curve(tmp_path, "validation/psnr") == {2: 24.5}
    assert _curve(tmp_path, "validation/ssim") == {2: 0.75}
    (shown,) = EventAccumulator(str(tmp_path)).Reload().Images("samples/cat")
    assert (shown.step, shown.width, shown.height) == (2, 36, 12)
    assert np.array_equal(np.array(Image.open(io.BytesIO(shown.encoded_image_string))), picture)


def test_a_resumed_run_goes_on_without_the_steps_that_were_lost(tmp_path: Path):
    _write(TensorBoardLog(tmp_path, after=0, batch=8), range(1, 51), 1.0)
    _write(TensorBoardLog(tmp_path, after=25, batch=8), range(26, 41), 2.0)
    assert _curve(tmp_path, "loss/total") == {10: 1.0, 20: 1.0, 30: 2.0, 40: 2.0}


def test_what_a_kill_cut_off_does_not_hide_the_next_session(tmp_path: Path):
    _write(TensorBoardLog(tmp_path, after=0, batch=8), range(1, 31), 1.0)
    (first,) = tmp_path.iterdir()
    first.write_bytes(first.read_bytes()[:-9])
    _write(TensorBoardLog(tmp_path, after=20, batch=8), range(21, 41), 2.0)
    assert _curve(tmp_path, "loss/total") == {10: 1.0, 20: 1.0, 30: 2.0, 40: 2.0}


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path):
    (tmp_path / "run").touch()
    with pytest.raises(ResourceError, match=r"tensorboard: cannot be written.*--resume"):
        TensorBoardLog(tmp_path / "run" / "tensorboard", after=0, batch=8)


def test_a_full_disk_is_a_sentence_at_once_and_nothing_is_printed(tmp_path: Path):
    code = f"""
import resource, signal
from pathlib import Path
from upscale_cli.errors import ResourceError
from upscale_cli.training.tensorboard import TensorBoardLog
from upscale_cli.training.watch import Progress
log = TensorBoardLog(Path({str(tmp_path)!r}), after=0, batch=8)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    for step in range(1, 1001):
        log.write(Progress(step, 1e-4, {{"total": 1.0}}, 0.1))
except ResourceError as error:
    print(step, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    step, _, message = done.stdout.partition(" ")
    assert 10 <= int(step) <= 200
    assert "no space left" in message
    assert "--resume" in message
    assert done.stderr == ""
    assert len(_curve(tmp_path, "lr")) == int(step) // 10 - 1


def test_tensorboard_is_imported_only_when_a_log_is_made():
    code = "import sys, upscale_cli.training.tensorboard; print('tensorboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
