"""Feature networks with their published weights: from the cache, or downloaded and checked."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from upscale_cli.errors import WeightsError
from upscale_cli.networks.alexnet import AlexNet
from upscale_cli.networks.lpips import Lpips, LpipsHead
from upscale_cli.networks.vgg19 import Vgg19
from upscale_cli.weights.catalogue import load_catalogue
from upscale_cli.weights.checkpoint import read_state_dict, require_tensors
from upscale_cli.weights.part import Progress
from upscale_cli.weights.store import Store, offline_requested

N = TypeVar("N", bound=nn.Module)


def load_vgg19(*, offline: bool, progress: Progress | None = None, store: Store | None = None) -> Vgg19:
    """VGG-19 for a perceptual loss: RGB in [0, 1] -> features; frozen, on the CPU.

    Raises WeightsError where the weights cannot be had or trusted, ResourceError where the disk is full.
    """
    return _published("vgg19", Vgg19, store or Store(), offline, progress)


def vgg19_for_training(without: str) -> Vgg19:
    """As `load_vgg19`; where it cannot be had the WeightsError names `without`, a recipe that needs none."""
    try:
        return load_vgg19(offline=offline_requested(False))
    except WeightsError as error:
        raise WeightsError(
            f"loss.per needs VGG-19: {error.message}",
            f"upscale models pull vgg19, or train without it: --set loss.per=0, as {without}",
        ) from error


def load_lpips(*, offline: bool, progress: Progress | None = None, store: Store | None = None) -> Lpips:
    """LPIPS v0.1 on AlexNet, frozen, on the CPU.  Arguments and errors as in `load_vgg19`."""
    store = store or Store()
    head = _published("lpips-alex", LpipsHead, store, offline, None)  # ships with the program
    return Lpips(_published("alexnet", AlexNet, store, offline, progress), head)


def _published(name: str, build: Callable[[], N], store: Store, offline: bool, progress: Progress | None) -> N:
    """What `build` makes, with the catalogue's weights `name`."""
    with torch.device("meta"):  # neither memory nor random numbers for weights that come from a file
        network = build()
    path = store.obtain(load_catalogue().find(name), offline=offline, progress=progress).path
    published, _ = read_state_dict(path)
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    state = {key: tensor for key, tensor in published.items() if key in expected}  # without the classifier
    require_tensors(state, expected, f"{name} ({path})")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)
