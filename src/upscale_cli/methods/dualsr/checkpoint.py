"""A learned G_UP as a checkpoint: the official names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upscale_cli.config.toml_file import parse
from upscale_cli.inference.cascade import Cascade
from upscale_cli.inference.device import Placement
from upscale_cli.inference.network import Network
from upscale_cli.methods.dualsr.config import GeneratorSettings
from upscale_cli.methods.dualsr.generator import Generator
from upscale_cli.methods.dualsr.network import UpNetwork
from upscale_cli.methods.sizes import borne_out
from upscale_cli.networks.unit_range import UnitRange


def expected_tensors(options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors; `options` are those of `GeneratorSettings`."""
    return {name: tuple(value.shape) for name, value in Generator(_settings(options)).state_dict().items()}


def recognised(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """The `options` of the G_UP that has just these tensors; None where there is none."""
    first = shapes.get("model.0.weight", ())
    if len(first) != 4 or first[1:] != (3, 3, 3):
        return None
    options = {"features": first[0]}
    return options if borne_out(options, shapes) and expected_tensors(options) == dict(shapes) else None


def scale(options: Mapping[str, Any]) -> int:
    """How many times as large a side becomes, after all passes."""
    return _settings(options).scale


def build(
    state: Mapping[str, Tensor] | None,
    options: Mapping[str, Any],
    placement: Placement,
    *,
    projection: bool = True,  # noqa: ARG001 - this method has none
) -> Network:
    """G_UP on its device; untrained without a `state`."""
    settings = _settings(options)
    generator = Generator(settings)
    if state is not None:
        generator.load_state_dict(state)
    network = UpNetwork(generator, settings, placement)
    return network if settings.passes == 1 else Cascade(network, settings.passes)


def trainable(options: Mapping[str, Any]) -> UnitRange:
    """The untrained network for whoever trains it."""
    settings = _settings(options)
    return UnitRange(Generator(settings), settings.scale)


def _settings(options: Mapping[str, Any]) -> GeneratorSettings:
    return parse(GeneratorSettings, options, "options of a dualsr model")
