"""A run's curves and sample pictures as `tensorboard --logdir runs` shows them.

Written by TensorBoard's own parts, but not by a SummaryWriter: that one writes from a thread, and where the disk is
full it drops what waits there and prints a traceback.
"""

import io
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upscale_cli.training.state import naming_faults
from upscale_cli.training.watch import Progress

EVERY = 10
"""Steps that a point of a curve is the mean over."""


class TensorBoardLog:
    """Curves of losses, learning rate, speed and validation, and the samples, in `folder` (an `Observer`).

    after: the step that a resumed run starts from; what an earlier session wrote of later ones is hidden.
    batch: patches of a step.  Raises ResourceError where it cannot be written, here and in `write` and `close`.
    """

    def __init__(self, folder: Path, *, after: int, batch: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        # One file for each session; TensorBoard takes them in the order of their names and knows them by "tfevents".
        name = f"events.out.tfevents.{time.time_ns() // 1000:017d}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._batch = batch
        self._unwritten: list[Progress] = []
        with naming_faults(folder, 0):
            folder.mkdir(exist_ok=True)
        self._append(file_version="brain.Event:2")
        # Steps from this one on are dropped from the files before (SummaryWriter's purge_step).
        self._append(step=after + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, progress: Progress) -> None:
        """Adds one step: a point where EVERY of them are together, validation and samples at once."""
        self._unwritten.append(progress)
        if progress.step % EVERY == 0:
            self.close()
        if progress.validation:
            self._append_values(progress.step, _scalars("validation", progress.validation))
        if progress.samples:
            self._append_values(progress.step, map(_image, progress.samples, progress.samples.values()))

    def close(self) -> None:
        """Writes the point of the steps since the last one."""
        if self._unwritten:
            self._append_values(self._unwritten[-1].step, _point(self._unwritten, self._batch))
            self._unwritten = []

    def _append_values(self, step: int, values: Iterator[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._append(step=step, summary=Summary(value=[Summary.Value(**value) for value in values]))

    def _append(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = Event(wall_time=time.time(), **event).SerializeToString()
        with naming_faults(self._path, len(record)), self._path.open("ab") as file:
            RecordWriter(file).write(record)


def _point(steps: list[Progress], batch: int) -> Iterator[dict[str, Any]]:
    names = dict.fromkeys(name for step in steps for name in step.losses)  # some terms are not of every step
    losses = {name: _mean([step.losses[name] for step in steps if name in step.losses]) for name in names}
    yield from _scalars("loss", losses)
    yield {"tag": "lr", "simple_value": steps[-1].lr}
    yield {"tag": "patches_per_second", "simple_value": batch / max(_mean([step.seconds for step in steps]), 1e-9)}


def _scalars(group: str, values: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    return ({"tag": f"{group}/{name}", "simple_value": value} for name, value in values.items())


def _image(name: str, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    from tensorboard.compat.proto.summary_pb2 import Summary

    height, width, _ = pixels.shape
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "png")
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png.getvalue())
    return {"tag": f"samples/{name}", "image": image}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
