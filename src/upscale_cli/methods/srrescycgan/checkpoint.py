"""SRResCycGAN's checkpoints: the official layout, weight-norm factors under their official names."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upscale_cli.config.toml_file import parse
from upscale_cli.inference.device import Placement
from upscale_cli.inference.network import Network
from upscale_cli.methods.sizes import borne_out
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import SCALE, Generator
from upscale_cli.methods.srrescycgan.network import ProjectedNetwork
from upscale_cli.networks.unit_range import UnitRange

_BLOCK = re.compile(r"model\.(layer1|context\.blocks)\.(\d+)\.")


def expected_tensors(options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors; `options` are those of `GeneratorSettings`."""
    generator = Generator(_settings(options))
    return {name: tuple(value.shape) for name, value in generator.state_dict().items()}


def recognised(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """The `options` of the generator that has just these tensors, as far as they tell; None where there is none."""
    found = {match.groups() for name in shapes if (match := _BLOCK.match(name))}
    blocks = Counter(kind for kind, _ in found)
    sizes = {"features": shapes.get("model.conv1.bias", (0,))[0], "blocks": blocks["layer1"]}
    options = sizes | {"context_blocks": blocks["context.blocks"]}
    fits = all(sizes.values()) and borne_out(options, shapes) and expected_tensors(options) == dict(shapes)
    return options if fits else None


def scale(options: Mapping[str, Any]) -> int:  # noqa: ARG001 - this method has one only
    """How many times as large a side becomes."""
    return SCALE


def build(
    state: Mapping[str, Tensor] | None, options: Mapping[str, Any], placement: Placement, *, projection: bool = True
) -> Network:
    """The generator with weight normalisation folded, on its device; untrained without a `state`."""
    generator = Generator(_settings(options))
    if state is not None:
        generator.load_state_dict(state)
    return ProjectedNetwork(generator, placement, projection=projection)


def trainable(options: Mapping[str, Any]) -> UnitRange:
    """The untrained generator for whoever trains it."""
    return UnitRange(Generator(_settings(options)), SCALE, white=255)


def _settings(options: Mapping[str, Any]) -> GeneratorSettings:
    return parse(GeneratorSettings, options, "options of a srrescycgan model")
