"""One picture -> its own network (DualSR): how long it learns, where its state lies meanwhile, and the verdict."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from upscale_cli.errors import PictureError, TrainingStateError
from upscale_cli.imaging.picture import Picture
from upscale_cli.inference.device import choose_device, prepare_device, reduced_precision
from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.config import RECIPES, AdaptationSettings
from upscale_cli.methods.dualsr.crops import BORDER
from upscale_cli.methods.dualsr.kernels import Kernel, prepared, reduction
from upscale_cli.services.learning_report import MODEL, START, LearningReport, LearningRequest
from upscale_cli.services.loading import Model, find_model, load_model
from upscale_cli.services.locks import locked
from upscale_cli.training.loop import TrainingReport, train
from upscale_cli.training.processes import Processes
from upscale_cli.training.state import Best, naming_faults, saved_states, step_of
from upscale_cli.training.watch import Progress
from upscale_cli.weights.places import cache_folder

SMALLEST = 64
"""Pixels a side: with less there are hardly two places to learn from."""
BYTES = 600 * 2**20
"""What learning takes whatever the picture's size, and for each of its pixels: maps of detail and of chances."""
BYTES_PER_PIXEL = 80
_KEPT_SECONDS = 30 * 24 * 3600
_MARGIN = 16
"""Pixels a side that must be left of a patch which the kernel has reduced, before the reduction."""


class Watch(Protocol):
    """Who watches a network learn."""

    def advanced(self, share: float) -> None:
        """Done to this share, in [0, 1]."""

    def message(self, text: str) -> None:
        """Something the user should know."""


@dataclass(frozen=True)
class Learned:
    """A picture's own network, the kernel that made the picture (K, K), and how both were come to.

    state: of all steps, in the cache; what it was for is done when the picture is written, and then it is to be
    `forgotten`.  None where there are steps to come, or none was kept.
    """

    model: Model
    kernel: Kernel
    report: LearningReport
    state: Path | None
    notes: tuple[str, ...]


class PictureLearner:
    """Learns a network from each picture, as a request says.

    precision: auto for the recipe's, fp32, or bf16; float32 where the device is no quicker with less.
    given: the kernel of the request's file, where it names one.
    """

    def __init__(self, request: LearningRequest, device: str, precision: str, given: Kernel | None) -> None:
        """Raises UsageError for a device that is not there, WeightsError where the bundled network is damaged."""
        self._request = request
        self._device = choose_device(device)
        recipe = RECIPES[request.recipe]
        wanted = recipe.precision if precision == "auto" else precision
        reduced = wanted == "bf16" and reduced_precision(self._device) == torch.bfloat16
        self._recipe = recipe.model_copy(update={"precision": "bf16" if reduced else "fp32"})
        self._start = load_model(find_model(START), offline=True) if self._recipe.course == "forward" else None
        known = None if given is None else prepared(given)
        self._given = reduction(request.reduction) if request.reduction else known

    def check_size(self, name: str, width: int, height: int) -> None:
        """Raises PictureError for a picture that is too small to learn from."""
        needed = SMALLEST
        if self._given is not None:
            needed = max(needed, len(self._given) + _MARGIN + 2 * BORDER)
        if min(width, height) < needed:
            raise PictureError(
                f"{name}: {width} x {height} pixels, a network learns from no less than {needed} a side",
                "upscale run enlarges it with a network that has learned from others",
            )

    def learn(self, name: str, picture: Picture, truth: Picture | None, watch: Watch) -> Learned:
        """The network after all its steps, or after those that there was time for.

        truth: what the result should be, to be measured by.  Raises PictureError, ResourceError.
        """
        prepare_device(self._device, training=True)
        settings = self._settings(picture)
        start = None if self._start is None else self._start.state
        adaptation = Adaptation(picture.pixels, settings, self._given, None if truth is None else truth.pixels, start)
        with _states() as states, _alone_with(folder := states / self._work(picture, settings), name):
            notes = self._emptied(folder)
            report = self._train(adaptation, settings, folder, _Steps(name, watch))
            model = load_model(report.exported, offline=True)
        assert model.state is not None
        adaptation.G_UP.load_state_dict(model.state)
        # Of the numbers: the file's metadata stand in any order.
        model = replace(model, name=MODEL, sha256=_digest(model.state))
        kept = _kept_states()
        if not report.finished:
            there = states == kept
            hint = "--resume --overwrite goes on" if there else f"no --resume: {kept} cannot be written: UPSCALE_CACHE"
            notes += (f"out of time after {report.step} of {settings.max_steps} steps ({hint})",)
        said = LearningReport(report.step, self._request.settings(report.step), *adaptation.judged())
        state = folder if report.finished and states == kept else None
        return Learned(model, adaptation.kernel(), said, state, notes)

    def _train(
        self, adaptation: Adaptation, settings: AdaptationSettings, folder: Path, steps: "_Steps"
    ) -> TrainingReport:
        """From the state in `folder` if there is one.  Raises PictureError, ResourceError."""
        begun, limit = time.monotonic(), self._request.max_seconds
        try:
            return train(
                adaptation,
                settings,
                folder,
                resume=bool(saved_states(folder)),
                watch=steps,
                processes=Processes(self._device),
                should_stop=lambda: limit is not None and time.monotonic() - begun > limit,
            )
        except TrainingStateError as error:
            hint = "try another --seed" if steps.begun else "begin anew, without --resume"
            raise PictureError(f"{steps.name}: {error.message}", hint) from error

    def _settings(self, picture: Picture) -> AdaptationSettings:
        """The recipe's, with smaller patches where the picture does not hold the usual ones."""
        room = (min(picture.width, picture.height) - 2 * BORDER) // 4 * 4
        patch, steps = min(self._recipe.patch, room), self._request.all_steps
        return self._recipe.model_copy(update={"patch": patch, "max_steps": steps, "seed": self._request.seed})

    def _work(self, picture: Picture, settings: AdaptationSettings) -> str:
        """A name for just this work: the same for the same samples, settings, start and kernel."""
        about = hashlib.sha256(settings.model_dump_json().encode())
        about.update(b"" if self._start is None else self._start.sha256.encode())
        kernel = np.zeros(0) if self._given is None else self._given
        for array in (picture.pixels, kernel):
            about.update(repr((array.shape, array.dtype.str)).encode())
            about.update(array.tobytes())
        return about.hexdigest()[:32]

    def _emptied(self, folder: Path) -> tuple[str, ...]:
        """Makes the folder, without what is not to be gone on from.  Raises ResourceError."""
        _sweep(folder.parent)
        notes: tuple[str, ...] = ()
        if not self._request.resume:
            shutil.rmtree(folder, ignore_errors=True)
        elif not any(step_of(state) for state in saved_states(folder)):
            notes = ("nothing to go on from: begun anew",)
        with naming_faults(folder, 0):
            folder.mkdir(parents=True, exist_ok=True)
        return notes


class _Steps:
    """Tells of steps as of a share (a `training.watch.Watch`)."""

    def __init__(self, name: str, watch: Watch) -> None:
        self.name = name
        self.begun = False
        self._watch = watch
        self._last = 1

    def begin(self, step: int, max_steps: int, batch: int, best: Best | None) -> None:  # noqa: ARG002
        """Says where it goes on."""
        self.begun = True
        self._last = max_steps
        if step:
            self._watch.message(f"{self.name}: goes on after {step} of {max_steps} steps")

    def step(self, progress: Progress) -> None:
        """Moves the share on; with a reference, says how near the picture is."""
        self._watch.advanced(progress.step / self._last)
        if progress.validation:
            psnr, ssim = progress.validation.values()
            self._watch.message(f"{self.name}: step {progress.step}: PSNR {psnr:.2f} dB, SSIM {ssim:.4f} in its middle")

    def message(self, text: str) -> None:
        """Passes it on."""
        self._watch.message(text)

    def stop_requested(self) -> bool:
        """Never: time alone stops it."""
        return False


def _digest(state: Mapping[str, Tensor]) -> str:
    """sha256 of the tensors in the order of their names."""
    digest = hashlib.sha256()
    for _, value in sorted(state.items()):
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _kept_states() -> Path:
    return cache_folder() / "zeroshot"


@contextlib.contextmanager
def _states() -> Iterator[Path]:
    """A folder for states: the cache's, or where that cannot be written, one that goes with the work.

    Raises ResourceError.
    """
    kept = _kept_states()
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
    if os.access(kept, os.W_OK | os.X_OK):
        yield kept
        return
    with contextlib.ExitStack() as stack:
        with naming_faults(Path(tempfile.gettempdir()), 0):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="upscale-", ignore_cleanup_errors=True))
        yield Path(folder)


@contextlib.contextmanager
def _alone_with(folder: Path, name: str) -> Iterator[None]:
    """Keeps other runs from the state in `folder`, whose parent is made.

    Raises PictureError where one is at work on it, ResourceError.
    """
    lock = folder.with_suffix(".lock")  # beside it: the folder itself comes and goes
    with contextlib.ExitStack() as stack:
        with naming_faults(lock, 0):
            lock.parent.mkdir(parents=True, exist_ok=True)
            free = stack.enter_context(locked(lock))
        if not free:
            raise PictureError(
                f"{name}: another run is learning from it with the same settings", "wait for it, then run this again"
            )
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # systems that remove no open file: swept later
                lock.unlink()


def forgotten(state: Path) -> None:
    """Removes the state of work that is done, but where another run is at it again."""
    lock = state.with_suffix(".lock")
    with contextlib.suppress(OSError), locked(lock) as free:
        if free:
            shutil.rmtree(state, ignore_errors=True)
            lock.unlink()


def _sweep(folder: Path) -> None:
    """Removes states that nobody went on from for long, and locks that killed runs left."""
    if not folder.is_dir():
        return
    for state in folder.iterdir():
        with contextlib.suppress(OSError):  # of another run, that has just removed it
            if time.time() - state.stat().st_mtime > _KEPT_SECONDS:
                if state.is_dir():
                    shutil.rmtree(state, ignore_errors=True)
                else:
                    state.unlink()
