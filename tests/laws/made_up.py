"""Networks of every method with made-up weights; a new room adds its own here, and the laws then hold for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from upscale_cli.inference.device import CPU
from upscale_cli.inference.network import Network
from upscale_cli.methods import load_method


@dataclass(frozen=True)
class MadeUp:
    """A checkpoint that nobody trained.  gains: tensor name -> what its made-up values are multiplied by.

    values: tensor name -> one number for all of it.
    """

    method: str
    options: Mapping[str, Any]
    gains: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)

    def state(self) -> dict[str, Tensor]:
        """Uniform values over the square root of what one output value sums over, as initialisation does."""
        random = torch.Generator().manual_seed(20)
        state = {}
        for name, shape in load_method(self.method).expected_tensors(self.options).items():
            summed = float(np.prod(shape[1:])) if len(shape) > 1 else 16.0
            drawn = (torch.rand(shape, generator=random) * 2 - 1) / summed**0.5
            state[name] = drawn * self.gains.get(name, 1.0)
            if name in self.values:
                state[name] = torch.full(shape, self.values[name])
        return state

    def network(self) -> Network:
        return load_method(self.method).build(self.state(), self.options, CPU)


_LAST = "model.conv_out.weight_g"
_NO_BATCH = {f"body.{block}.norm.running_var": 1.0 for block in range(4)}
_LOUD = {f"body.{block}.conv.weight": 2.0 for block in range(4)}
MADE_UP = {
    # The projection passing everything, cutting down by the official sigma, and by ours. Every depth has its own halo.
    # With fewer than 16 features convolutions take another path, whose last bit depends on a tile's width.
    "srrescycgan-inactive": MadeUp("srrescycgan", {"features": 16, "blocks": 5}, {_LAST: 10.0}, {"alpha": 12.0}),
    "srrescycgan-active": MadeUp("srrescycgan", {"features": 16, "blocks": 2}, {_LAST: 4.0}, {"alpha": 8.5}),
    "srrescycgan-robust": MadeUp(
        "srrescycgan",
        {"features": 16, "blocks": 1, "noise_estimate": "robust", "decoder_padding": "reflect"},
        {_LAST: 150.0},
        {"alpha": 0.5},
    ),
    "srrescycgan-context": MadeUp(
        "srrescycgan", {"features": 16, "blocks": 2, "context_blocks": 1}, {_LAST: 10.0}, {"alpha": 12.0}
    ),
    "rwsr": MadeUp("rwsr", {"groups": 2, "blocks": 2, "features": 16, "reduction": 4}, {"head.0.weight": 2.0}),
    "rwsr-replicate": MadeUp(
        "rwsr", {"groups": 1, "blocks": 2, "features": 16, "reduction": 4, "padding": "replicate"}
    ),
    "dualsr": MadeUp("dualsr", {"features": 16}),
    "dualsr-x4": MadeUp("dualsr", {"features": 16, "passes": 2}),
    "cyclesr-vdsr": MadeUp("cyclesr", {"features": 16, "blocks": 4}, _LOUD, _NO_BATCH),
    "cyclesr-vdsr-replicate": MadeUp(
        "cyclesr", {"features": 16, "blocks": 2, "scale": 3, "padding": "replicate"}, _LOUD, _NO_BATCH
    ),
    "cyclesr-srresnet": MadeUp("cyclesr", {"network": "srresnet", "features": 16, "blocks": 1}),
    "cyclesr-srresnet-x3": MadeUp(
        "cyclesr", {"network": "srresnet", "features": 16, "blocks": 3, "scale": 3, "padding": "replicate"}
    ),
    "rwsr-x3": MadeUp("rwsr", {"groups": 1, "blocks": 1, "features": 16, "reduction": 4, "scale": 3}),
}


def photo(height: int, width: int) -> Tensor:
    """A real photograph with detail in every pixel, (1, 3, height, width) in [0, 1]."""
    pixels = np.array(Image.fromarray(skimage.data.chelsea()).crop((120, 40, 360, 220)))[:height, :width]
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
