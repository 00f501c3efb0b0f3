"""RWSR's checkpoints: RCAN's official layout."""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upscale_cli.config.toml_file import parse
from upscale_cli.errors import UsageError
from upscale_cli.inference.device import Placement
from upscale_cli.inference.network import StagedNetwork
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import Generator
from upscale_cli.methods.rwsr.network import AttentionNetwork
from upscale_cli.methods.sizes import borne_out
from upscale_cli.networks.unit_range import UnitRange

_GROUP = re.compile(r"body\.(\d+)\.body\.")
_BLOCK = re.compile(r"body\.0\.body\.(\d+)\.body\.")
_ENLARGING = re.compile(r"tail\.0\.\d+\.weight")


def expected_tensors(options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors; `options` are those of `GeneratorSettings`."""
    generator = Generator(_settings(options))
    return {name: tuple(value.shape) for name, value in generator.state_dict().items()}


def recognised(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """The `options` of the RCAN that has just these tensors; None where there is none."""
    head, squeeze = (shapes.get(name, (0,)) for name in ("head.0.weight", "body.0.body.0.body.3.conv_du.0.weight"))
    if not head[0] or not squeeze[0]:
        return None
    enlarging = [math.isqrt(shape[0] // head[0]) for name, shape in shapes.items() if _ENLARGING.fullmatch(name)]
    options = {
        "scale": math.prod(enlarging),
        "groups": max(int(found[1]) for name in shapes if (found := _GROUP.match(name))) + 1,
        "blocks": max(int(found[1]) for name in shapes if (found := _BLOCK.match(name))) + 1,
        "features": head[0],
        "reduction": head[0] // squeeze[0],
    }
    try:
        return options if borne_out(options, shapes) and expected_tensors(options) == dict(shapes) else None
    except UsageError:
        return None


def scale(options: Mapping[str, Any]) -> int:
    """How many times as large a side becomes."""
    return _settings(options).scale


def build(
    state: Mapping[str, Tensor] | None,
    options: Mapping[str, Any],
    placement: Placement,
    *,
    projection: bool = True,  # noqa: ARG001 - this method has none
) -> StagedNetwork:
    """RCAN on its device, its upsampler folded; untrained without a `state`."""
    generator = Generator(_settings(options))
    if state is not None:
        generator.load_state_dict(state)
    return AttentionNetwork(generator, placement)


def trainable(options: Mapping[str, Any]) -> UnitRange:
    """The untrained generator for whoever trains it."""
    settings = _settings(options)
    return UnitRange(Generator(settings), settings.scale, white=255)


def _settings(options: Mapping[str, Any]) -> GeneratorSettings:
    return parse(GeneratorSettings, options, "options of an rwsr model")
