"""A picture's own network: where its state lies, what happens to it, and what cannot be learned from."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from upscale_cli.errors import PictureError
from upscale_cli.imaging.picture import Picture
from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.services import picture_learner
from upscale_cli.services.learning_report import LearningRequest
from upscale_cli.services.picture_learner import PictureLearner, forgotten


class Nobody:
    def advanced(self, share: float) -> None: ...

    def message(self, text: str) -> None: ...


@pytest.fixture(autouse=True)
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    """Where states lie."""
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path))
    return tmp_path / "zeroshot"


def picture(seed: int = 0, level: int | None = None) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    return Picture(pixels if level is None else np.full_like(pixels, level))


def learner(precision: str = "fp32", **options: object) -> PictureLearner:
    return PictureLearner(LearningRequest(**{"steps": 3, **options}), "cpu", precision, None)  # type: ignore[arg-type]


def test_a_state_is_kept_where_time_ran_out_and_is_of_its_picture_and_settings(states: Path):
    for seed in (0, 1):
        assert learner(max_seconds=1e-6).learn("a", picture(seed), None, Nobody()).report.steps == 1
    learner(max_seconds=1e-6, seed=5).learn("a", picture(), None, Nobody())
    assert len(list(states.iterdir())) == 3
    done = learner(resume=True).learn("a", picture(), None, Nobody())
    assert done.report.steps == 3
    assert done.notes == ()
    assert done.state is not None
    assert done.state.is_dir()
    forgotten(done.state)
    assert len(list(states.iterdir())) == 2


def test_a_state_that_another_run_is_at_is_not_forgotten(states: Path):
    state = learner().learn("a", picture(), None, Nobody()).state
    assert state is not None
    with FileLock(state.with_suffix(".lock")):
        forgotten(state)
        assert state.is_dir()
    forgotten(state)
    assert not state.exists()


def test_what_no_step_was_done_of_is_begun_anew_aloud(states: Path):
    learner(max_seconds=1e-6).learn("a", picture(), None, Nobody())
    for path in states.glob("*/step-*.pt"):
        if path.stem != "step-00000000":
            path.unlink()
    assert learner(resume=True).learn("a", picture(), None, Nobody()).notes == ("nothing to go on from: begun anew",)


def test_without_a_cache_that_can_be_written_it_learns_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    kept = learner().learn("a", picture(), None, Nobody())
    (tmp_path / "file").touch()
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert learner().learn("a", picture(), None, Nobody()).model.sha256 == kept.model.sha256
    (note,) = learner(max_seconds=1e-6).learn("a", picture(), None, Nobody()).notes
    assert note.startswith(f"out of time after 1 of 3 steps (no --resume: {tmp_path / 'file' / 'cache'}")
    assert "UPSCALE_CACHE" in note
    assert not list(tmp_path.glob("upscale-*"))


def test_without_resume_it_begins_anew(states: Path):
    learner(max_seconds=1e-6).learn("a", picture(), None, Nobody())
    again = learner(max_seconds=1e-6).learn("a", picture(), None, Nobody())
    assert again.report.steps == 1


def test_two_runs_never_learn_from_one_picture_at_once(states: Path):
    class Second(Nobody):
        refused: PictureError

        def advanced(self, share: float) -> None:
            with pytest.raises(PictureError, match=r"^b: another run is learning from it") as caught:
                learner().learn("b", picture(), None, Nobody())
            self.refused = caught.value
            assert learner(seed=1).learn("b", picture(), None, Nobody()).report.steps == 3

    watch = Second()
    assert learner().learn("a", picture(), None, watch).report.steps == 3
    assert watch.refused.exit_code == 3
    assert not list(states.glob("*.lock"))


def test_states_of_long_ago_are_removed(states: Path):
    for name, days in (("old", 40), ("old.lock", 40), ("young", 3)):
        if name.endswith(".lock"):
            (states / name).touch()
        else:
            (states / name).mkdir(parents=True)
        os.utime(states / name, (time.time() - days * 24 * 3600,) * 2)
    learner().learn("a", picture(), None, Nobody())
    assert {state.name for state in states.iterdir()} & {"old", "old.lock", "young"} == {"young"}


def test_a_run_that_comes_to_no_numbers_fails_its_picture(monkeypatch: pytest.MonkeyPatch):
    step: Callable[..., None] = Adaptation.step

    def poisoned(self: Adaptation, number: int, batch: object, update: object) -> None:
        with torch.no_grad():
            self.G_UP.model[0].weight.fill_(torch.nan)
        step(self, number, batch, update)

    monkeypatch.setattr(Adaptation, "step", poisoned)
    with pytest.raises(PictureError) as error:
        learner().learn("a.png", picture(), None, Nobody())
    assert error.value.message.startswith("a.png: the loss is not finite at step 1")
    assert error.value.hint == "try another --seed"


def test_states_that_cannot_be_read_are_begun_anew_without_resume(states: Path):
    learner(max_seconds=1e-6).learn("a", picture(), None, Nobody())
    for state in states.glob("*/step-*.pt"):
        state.write_bytes(b"rotten")
    with pytest.raises(PictureError, match="can be read") as error:
        learner(resume=True).learn("a", picture(), None, Nobody())
    assert error.value.hint == "begin anew, without --resume"
    assert learner().learn("a", picture(), None, Nobody()).report.steps == 3


@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_picture_is_learned_from(level: int):
    learned = learner().learn("a", picture(level=level), None, Nobody())
    assert learned.report.niqe is None
    assert np.isfinite(learned.report.consistency)
    assert learned.kernel.shape == (13, 13)


@pytest.mark.parametrize(
    ("recipe", "precision", "able", "expected"),
    [
        ("quick", "auto", True, "bf16"),
        ("quick", "auto", False, "fp32"),
        ("quick", "fp32", True, "fp32"),
        ("paper", "auto", True, "fp32"),
        ("paper", "bf16", True, "bf16"),
    ],
)
def test_the_paper_learns_in_float32_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, recipe: str, precision: str, able: bool, expected: str
) -> None:
    def reduced(device: torch.device) -> torch.dtype | None:
        return torch.bfloat16 if able else None

    formats = []
    monkeypatch.setattr(picture_learner, "reduced_precision", reduced)
    monkeypatch.setattr(Adaptation, "__init__", lambda self, pixels, settings, *_: formats.append(settings.precision))
    with pytest.raises(AttributeError):  # nothing to learn
        learner(precision, recipe=recipe).learn("a", picture(), None, Nobody())
    assert formats == [expected]


def test_too_small_pictures_are_named():
    with pytest.raises(PictureError, match=r"a: 63 x 400 pixels, a network learns from no less than 64"):
        learner().check_size("a", 63, 400)
    learner().check_size("a", 64, 64)
