"""What `upscale evaluate` measures of a result and its original."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from upscale_cli.imaging.niqe import niqe
from upscale_cli.imaging.quality import Protocol, match, psnr, ssim
from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.inference.device import choose_device
from upscale_cli.services.evaluate_report import EvaluateRequest, Score
from upscale_cli.services.evaluation_pairs import Pixels
from upscale_cli.weights.part import Progress

if TYPE_CHECKING:
    import torch

    from upscale_cli.networks.lpips import Lpips

Measure = Callable[[Pixels, Pixels], float]
"""(result, original), (h, w, 3) each -> one figure."""


def find_measures(request: EvaluateRequest, progress: Progress) -> dict[str, Measure]:
    """How each of the request's metrics is taken.  progress: of fetching AlexNet, where LPIPS is among them.

    Raises WeightsError where AlexNet cannot be had.
    """
    measures: dict[str, Measure] = {
        "psnr": partial(psnr, on=request.protocol.channel),
        "ssim": partial(ssim, on=request.protocol.channel),
        "niqe": lambda result, _: niqe(result),
    }
    if "lpips" in request.metrics:
        measures["lpips"] = _lpips(request, progress)
    return {name: measures[name] for name in request.metrics}


def score(result: Pixels, original: Pixels, protocol: Protocol, measures: Mapping[str, Measure]) -> Score:
    """Every measure of what `protocol` compares.  Raises ValueError for pictures too small for it or for a measure."""
    found = match(result, original, protocol)
    return Score({name: measure(found.result, found.original) for name, measure in measures.items()}, found.shift)


def _lpips(request: EvaluateRequest, progress: Progress) -> Measure:
    from upscale_cli.weights.features import load_lpips

    device = choose_device(request.upscale.device)
    network = load_lpips(offline=request.upscale.offline, progress=progress).to(device)
    return partial(_distance, network, device)


def _distance(network: "Lpips", device: "torch.device", result: Pixels, original: Pixels) -> float:
    return float(network(to_tensor(result).to(device), to_tensor(original).to(device)))
