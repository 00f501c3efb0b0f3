"""How large a network may be that a checkpoint is said to be of: building it must not cost more than the file did."""

import math
from collections.abc import Mapping
from typing import Any

from upscale_cli.methods.method import Shapes


def borne_out(options: Mapping[str, Any], shapes: Shapes) -> bool:
    """Whether tensors of these `shapes` can be a network of the `groups` of `blocks`, the `context_blocks` and the
    `features` that `options` give.

    Every block has a tensor at least, and all blocks together half of features^2 numbers each at the very least.
    """
    groups, blocks, features = (_number(options.get(key)) for key in ("groups", "blocks", "features"))
    blocks = groups * blocks + _number(options.get("context_blocks", 0))
    numbers = sum(map(math.prod, shapes.values()))
    return blocks <= len(shapes) and blocks * features**2 <= 2 * numbers


def _number(value: object) -> int:
    return value if isinstance(value, int) else 1  # left out, or of a kind that the settings refuse
