"""CycleSR's checkpoints: the super-resolution network alone; SRResNet's in the official layout of MSRResNet."""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upscale_cli.config.toml_file import parse
from upscale_cli.inference.device import Placement
from upscale_cli.inference.network import Network
from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.methods.cyclesr.network import LocalNetwork
from upscale_cli.methods.cyclesr.srresnet import SRResNet
from upscale_cli.methods.cyclesr.vdsr import VDSR
from upscale_cli.methods.sizes import borne_out
from upscale_cli.networks.unit_range import UnitRange

_BLOCK = re.compile(r"body\.(\d+)\.")


def expected_tensors(options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors; `options` are those of `GeneratorSettings`."""
    generator = make_generator(_settings(options))
    return {name: tuple(value.shape) for name, value in generator.state_dict().items()}


def recognised(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """The `options` of the network that has just these tensors, as far as they tell; None where there is none."""
    blocks = len({found[1] for name in shapes if (found := _BLOCK.match(name))})
    options = _vdsr_options(shapes, blocks) if "body.0.norm.weight" in shapes else _srresnet_options(shapes)
    options["blocks"] = blocks
    known = all(options.values()) and options["scale"] in (2, 3, 4) and borne_out(options, shapes)
    return options if known and expected_tensors(options) == dict(shapes) else None


def scale(options: Mapping[str, Any]) -> int:
    """How many times as large a side becomes."""
    return _settings(options).scale


def build(
    state: Mapping[str, Tensor] | None,
    options: Mapping[str, Any],
    placement: Placement,
    *,
    projection: bool = True,  # noqa: ARG001 - this method has none
) -> Network:
    """The network with batch norm folded, on its device; untrained without a `state`."""
    generator = make_generator(_settings(options))
    if state is not None:
        generator.load_state_dict(state)
    return LocalNetwork(generator, placement)


def trainable(options: Mapping[str, Any]) -> UnitRange:
    """The untrained network for whoever trains it."""
    settings = _settings(options)
    return UnitRange(make_generator(settings), settings.scale)


def make_generator(settings: GeneratorSettings) -> VDSR | SRResNet:
    """G_l2h, untrained."""
    return VDSR(settings) if settings.network == "vdsr" else SRResNet(settings)


def _vdsr_options(shapes: Mapping[str, tuple[int, ...]], blocks: int) -> dict[str, Any]:
    last = shapes.get(f"body.{blocks - 1}.conv.weight", (0,))
    features = shapes.get("body.0.conv.weight", (0,))
    return {"network": "vdsr", "scale": math.isqrt(last[0] // 3), "features": features[0]}


def _srresnet_options(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    features = shapes.get("conv_first.bias", (0,))[0]
    step = math.isqrt(shapes.get("upconv1.bias", (0,))[0] // max(features, 1))
    return {"network": "srresnet", "scale": step * (2 if "upconv2.bias" in shapes else 1), "features": features}


def _settings(options: Mapping[str, Any]) -> GeneratorSettings:
    return parse(GeneratorSettings, options, "options of a cyclesr model")
