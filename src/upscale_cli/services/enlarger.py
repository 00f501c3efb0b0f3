"""A model's networks on their device: how each picture is run, what that takes, and how a pair's two are fused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from upscale_cli.imaging.alpha import with_bled_colours
from upscale_cli.imaging.picture import Channels, Samples
from upscale_cli.imaging.tensors import from_tensor, to_tensor
from upscale_cli.inference.device import (
    Placement,
    choose_device,
    free_memory,
    memory_budget,
    prepare_device,
    reduced_precision,
)
from upscale_cli.inference.fusion import Gate, fuse, local_gate, median_luminance, whole_gate
from upscale_cli.inference.plan import Plan, Sink, choose_tile
from upscale_cli.inference.precision import reduced_is_faithful
from upscale_cli.inference.staged import held_bytes, spilling
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale
from upscale_cli.networks.reduced_precision import PRECISIONS
from upscale_cli.services.fusion_report import FusionReport, FusionSettings
from upscale_cli.services.loading import Model
from upscale_cli.services.picture_job import Job
from upscale_cli.services.pipeline import SHARE
from upscale_cli.services.upscale_report import UpscaleRequest

if TYPE_CHECKING:
    from upscale_cli.inference.network import AnyNetwork

_GIB = 2**30
Advance = Callable[[float], None]
"""Takes the share of a picture that is done, in [0, 1]."""


@dataclass(frozen=True)
class Enlarged:
    """A picture in the network's size, and how it was made.

    samples: (H, W, 1 or 3), of 16 bits where more is done to them than to write them.  notes: for the user.
    fusion, gate: what was decided, overall and for each pixel; None for a model without a partner.
    """

    samples: Samples
    dtype: torch.dtype
    tile: int
    notes: tuple[str, ...]
    fusion: FusionReport | None = None
    gate: Gate | None = None


class Enlarger:
    """Runs a model, and its partner where the picture asks for it, as a request says.

    budget: bytes that everything together should stay within.
    """

    def __init__(self, model: Model, request: UpscaleRequest, budget: int | None = None) -> None:
        """budget: None for what `request` allows.  Raises UsageError for a device that is not there."""
        self._model = model
        self._request = request
        self._device = choose_device(request.device)
        prepare_device(self._device)
        self.budget = memory_budget(request.memory) if budget is None else budget
        self._networks: dict[tuple[str, torch.dtype], AnyNetwork] = {}

    def number_formats(self) -> list[torch.dtype]:
        """Those to choose from, the exact one first."""
        if self._request.precision != "auto":
            return [PRECISIONS[self._request.precision]]
        reduced = reduced_precision(self._device)
        return [torch.float32] if reduced is None else [torch.float32, reduced]

    def number_format(self, x: Tensor) -> torch.dtype:
        """The one for this picture: reduced only where that is good enough for every network that may run."""
        formats = self.number_formats()
        if len(formats) == 1:
            return formats[0]
        models = (self._model,) if self._model.partner is None else (self._model, self._model.partner)
        pairs = ([self._network(model, dtype) for dtype in formats] for model in models)
        return formats[1] if all(reduced_is_faithful(exact, reduced, x) for exact, reduced in pairs) else formats[0]

    def network(self, dtype: torch.dtype) -> "AnyNetwork":
        """The first network; a partner's takes as much of everything."""
        return self._network(self._model, dtype)

    def tile(self, network: "AnyNetwork", job: Job) -> tuple[int, tuple[str, ...]]:
        """The tile as asked for, or chosen; smaller than asked for, with a note, where memory would not do."""
        height, width = job.header.height, job.header.width
        wanted, chosen = self._request.tile, choose_tile(network, self._device, height, width, self.budget)
        if wanted is None:
            return chosen, ()
        needed = _tile_bytes(network, wanted, job)
        room = self.budget if self._request.memory is not None else max(self.budget, free_memory() - job.memory)
        if self._device.type != "cpu" or needed <= room or 0 < wanted <= chosen:
            return wanted, ()
        name = f"tiles of {wanted} pixels" if wanted else "the whole picture at once"
        return chosen, (f"{name} would need {needed / _GIB:.1f} GiB: done in tiles of {chosen} pixels",)

    def spilling(self, network: "AnyNetwork", tile: int, job: Job) -> tuple[str, ...]:
        """What to say where the network keeps more between its tiles than memory holds."""
        plan = self._plan(tile, job)
        held = held_bytes(network, job.header.height, job.header.width, plan)
        return spilling(held, plan, self._device)

    def memory(self, network: "AnyNetwork", tile: int, job: Job) -> int:
        """Bytes that a picture takes, with the tile and what is kept between tiles."""
        held = held_bytes(network, job.header.height, job.header.width, self._plan(tile, job))
        return job.memory + _tile_bytes(network, tile, job) + (0 if self.spilling(network, tile, job) else held)

    def planned_fusion(self, job: Job) -> FusionReport | None:
        """What may be fused; None where the model has no partner."""
        if self._model.partner is None:
            return None
        return FusionReport(self._request.fusion.settings, self._model.partner.name, gate=str(job.gate_path or ""))

    def enlarge(self, job: Job, advanced: Advance) -> Enlarged:
        """Runs the model on `job.picture`, and its partner where it is dark.  Raises PictureError, ResourceError."""
        picture, partner = job.picture, self._model.partner
        assert picture is not None
        pixels = with_bled_colours(picture).pixels
        x = to_tensor(pixels).to(self._device)
        dtype = self.number_format(x)
        tile, notes = self.tile(self.network(dtype), job)
        # 16 bits where the samples are resampled, fused or sharpened afterwards, so that they are rounded once.
        last = partner is None and job.size == job.network_size and not self._request.sharpen
        levels = picture.pixels.dtype if last else np.dtype(np.uint16)
        samples: Samples = np.empty((job.network_size[1], job.network_size[0], pixels.shape[2]), levels)
        plan = self._plan(tile, job)
        first, second = _shares(advanced, self._looks_dark(pixels))
        notes += tuple(upscale(self.network(dtype), x, _placing(samples, picture.channels), plan, first))
        if partner is None:
            return Enlarged(samples, dtype, tile, notes)
        report, gate = self._decided(samples, job)
        if report.share:
            sink = _fusing(samples, picture.channels, gate, report.settings)
            # A tile that came a second time would be fused with what was fused already.
            notes += tuple(upscale(self._network(partner, dtype), x, sink, replace(plan, once=True), second))
        second(1.0)
        return Enlarged(samples, dtype, tile, notes, report, gate)

    def _looks_dark(self, pixels: Samples) -> bool:
        """Whether the second network will probably run, by the input; for the progress alone."""
        settings = self._request.fusion.settings
        if self._model.partner is None:
            return False
        return settings.local or median_luminance(pixels) < settings.gamma

    def _decided(self, samples: Samples, job: Job) -> tuple[FusionReport, Gate]:
        """What Eq. (6) decides on the first network's picture."""
        planned = self.planned_fusion(job)
        assert planned is not None
        assert job.picture is not None
        shown = None if job.picture.alpha is None else job.picture.alpha > 0
        y_med, gamma = median_luminance(samples, shown), planned.settings.gamma
        gate = local_gate(samples, gamma) if planned.settings.local else whole_gate(samples, dark=y_med < gamma)
        share = float(gate.mean()) / 255 if planned.settings.local else float(y_med < gamma)
        return replace(planned, y_med=y_med, share=share), gate

    def _network(self, model: Model, dtype: torch.dtype) -> "AnyNetwork":
        key = ("first" if model is self._model else "second", dtype)
        if key not in self._networks:
            self._networks[key] = model.network(Placement(self._device, dtype), projection=self._request.projection)
        return self._networks[key]

    def _plan(self, tile: int, job: Job) -> Plan:
        local = self._request.local_statistics
        return Plan(tile, self._working_memory(job), self._request.self_ensemble, local)

    def _working_memory(self, job: Job) -> int:
        """Bytes for the network: what pictures on their way leave of the budget (see `pipeline.SHARE`)."""
        return max(self.budget - max(job.memory, int(SHARE * self.budget)), self.budget // 4)


def _shares(advanced: Advance, two: bool) -> tuple[Advance, Advance]:
    """The progress of the first network and of the second: half of the whole each, where two will run."""
    first = 0.5 if two else 1.0
    return lambda share: advanced(first * share), lambda share: advanced(first + (1 - first) * share)


def _placing(samples: Samples, channels: Channels) -> Sink:
    def sink(box: Box, part: Tensor) -> None:
        samples[box.top : box.bottom, box.left : box.right] = from_tensor(part, samples.dtype, channels)

    return sink


def _fusing(samples: Samples, channels: Channels, gate: Gate, settings: FusionSettings) -> Sink:
    """Fuses tiles of the second network into the samples of the first, which must be complete."""

    def sink(box: Box, part: Tensor) -> None:
        here = slice(box.top, box.bottom), slice(box.left, box.right)
        fuse(samples[here], from_tensor(part, samples.dtype, channels), gate[here], settings.alpha, settings.beta)

    return sink


def _tile_bytes(network: "AnyNetwork", tile: int, job: Job) -> int:
    sides = (job.header.height, job.header.width)
    return network.tile_bytes(*(min(side, (tile or side) + 2 * network.halo) for side in sides))
