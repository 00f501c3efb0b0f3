"""`--model auto`: the stages of `upscale_worker`, with the worker of the model that suits each picture."""

from dataclasses import replace
from typing import Protocol

from upscale_cli.inference.device import choose_device, memory_budget
from upscale_cli.services import picture_job, upscale_worker
from upscale_cli.services.choose_model import Pair, Selection, choose
from upscale_cli.services.loading import describe_pair, load_pair
from upscale_cli.services.outputs import Target
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest
from upscale_cli.services.upscale_worker import Worker


class Watch(upscale_worker.Advance, Protocol):
    """Who watches the work."""

    def message(self, text: str) -> None:
        """Something the user should know."""


class AutoWorker:
    """The stages of a picture (a `services.pipeline.Stages`) whose model is chosen once it is decoded.

    A model is loaded when the first picture asks for it, and kept.  name, sha256: "auto", and nothing.  budget: bytes
    for everything together.
    """

    def __init__(self, selection: Selection, request: UpscaleRequest, watch: Watch, *, planning: bool = False) -> None:
        """planning: nothing will be computed, so that no model needs its tensors.

        Raises UsageError for a device that is not there.
        """
        choose_device(request.device)  # before the first picture, though the models come with the pictures
        self._selection = selection
        self.name, self.sha256 = selection.sketch.name, ""
        self._request = request
        self._watch = watch
        self._planning = planning
        self._workers: dict[str, Worker] = {}
        self.budget = memory_budget(request.memory)

    def inspect(self, target: Target) -> Job:
        """The job, from the picture's header.  Raises PictureError for one that cannot be done."""
        scale, paired = self._selection.sketch.scale, self._selection.paired
        return picture_job.inspect(target, self._request, scale, paired=paired)

    def plan(self, target: Target) -> PictureReport:
        """What would be done; the picture is decoded for it.  Raises PictureError as `inspect` and `read`."""
        job = self.read(self.inspect(target))
        return self._worker(job).planned(job)

    def read(self, job: Job) -> Job:
        """Decodes the picture.  Raises PictureError for a damaged one, or for want of memory."""
        return upscale_worker.read(job)

    def compute(self, job: Job) -> Job:
        """Chooses the model and runs it.  Raises PictureError, ResourceError; WeightsError for a damaged model."""
        return self._worker(job).compute(job)

    def write(self, job: Job) -> PictureReport:
        """Writes the picture, whole or not at all.  Raises PictureError, ResourceError."""
        assert job.choice is not None
        return self._workers[job.choice.model].write(job)

    def _worker(self, job: Job) -> Worker:
        """That of the model which suits the job's picture."""
        job.choice = choose(self._selection.pairs, job)
        pair = next(pair for pair in self._selection.pairs if pair.name == job.choice.model)
        if pair.name not in self._workers:
            self._workers[pair.name] = self._made(pair)
        return self._workers[pair.name]

    def _made(self, pair: Pair) -> Worker:
        """Raises WeightsError where a model's file is damaged or gone; it is not downloaded."""
        sides = pair.model, pair.partner
        model = describe_pair(*sides) if self._planning else load_pair(*sides, offline=True)
        for note in model.notes:
            self._watch.message(note)
        return Worker(model, replace(self._request, fusion=pair.fusion), self._watch, self.budget)
