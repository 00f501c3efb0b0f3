"""RWSR's checkpoints: RCAN's official layout."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upscale_cli.config.toml_file import parse
from upscale_cli.inference.device import Placement
from upscale_cli.inference.network import StagedNetwork
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import Generator
from upscale_cli.methods.rwsr.network import AttentionNetwork


def expected_tensors(options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors; `options` are those of `GeneratorSettings`."""
    generator = Generator(_settings(options))
    return {name: tuple(value.shape) for name, value in generator.state_dict().items()}


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


def _settings(options: Mapping[str, Any]) -> GeneratorSettings:
    return parse(GeneratorSettings, options, "options of an rwsr model")
