"""Pictures side by side in one, for the eye."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
GAP = 4
"""White pixels to the right of and below each picture."""


def laid_out(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Rows of pictures (h, w, 3), those of a row of one height."""
    lines = [np.concatenate([_with_gap(part) for part in row], axis=1) for row in rows]
    width = max(line.shape[1] for line in lines)
    wide = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines]
    return np.concatenate(wide)


def _with_gap(part: Pixels) -> Pixels:
    return np.pad(part, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
