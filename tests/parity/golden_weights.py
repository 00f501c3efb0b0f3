"""Golden weights as a network loads them, from a file of arrays beside the tests.

A network's are either kept as they are, `<prefix>.state.<tensor>`, or, where they are many, drawn again:
`<prefix>.recipe.names`, `shapes` (up to four sides, then zeros), `draws` (offset and scale) and `seeds`. A tensor is
offset + scale (2 u - 1), where u are `numpy.random.RandomState(seed)`'s numbers in float64; the sum is float32.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def load_golden(network: nn.Module, golden: Mapping[str, NDArray], prefix: str) -> None:
    """Puts the weights into `network`, whose tensors must be called the same; batch norm's counters alone may lack."""
    drawn = f"{prefix}.recipe.names" in golden
    state = _drawn(golden, f"{prefix}.recipe") if drawn else _kept(golden, f"{prefix}.state.")
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)


def _kept(golden: Mapping[str, NDArray], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): torch.from_numpy(golden[name]) for name in golden if name.startswith(prefix)}


def _drawn(golden: Mapping[str, NDArray], prefix: str) -> dict[str, Tensor]:
    columns = (golden[f"{prefix}.{column}"] for column in ("names", "shapes", "draws", "seeds"))
    state = {}
    for name, sides, (offset, scale), seed in zip(*columns, strict=True):
        u = np.random.RandomState(seed).random_sample([side for side in sides if side])
        state[str(name)] = torch.from_numpy((offset + scale * (2 * u - 1)).astype(np.float32))
    return state
