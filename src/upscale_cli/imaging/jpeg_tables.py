"""JPEG's quantisation tables for luminance: those of each quality, and the one that a file carries."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upscale_cli.imaging.dct import FREQUENCY
from upscale_cli.imaging.decoding import MAX_PIXELS, name_of, open_image
from upscale_cli.imaging.metadata import orientation_of

Table = NDArray[np.int_]
"""(8, 8) steps from 1 on, frequencies down by frequencies across."""
_WEIGHT = np.where(FREQUENCY <= 4, 1.0, 0.05)

# ITU-T T.81, Annex K, Table K.1: what libjpeg and nearly everybody scales.
_STANDARD = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def table_of(quality: int) -> Table:
    """libjpeg's luminance table at `quality`, 1 to 100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: Table = np.clip((_STANDARD * percent + 50) // 100, 1, 255)
    return table


TABLES = np.stack([table_of(quality) for quality in range(1, 101)])
"""Those of quality 1 to 100, (100, 8, 8)."""


def nearest_quality(table: Table) -> int:
    """The quality, 1 to 100, whose table is nearest to `table` (8, 8) in ratio of steps; 0 is a step not known.

    By the coarse frequencies above all: pictures have little in the others, and tables of cameras and websites spare
    them in ways of their own.
    """
    known = table > 0
    return 1 + int((np.abs(np.log(TABLES[:, known] / table[known])) @ _WEIGHT[known]).argmin())


def table_in(source: Path | bytes) -> Table | None:
    """The luminance table of a JPEG file, as the upright picture has it; None for another format.

    Raises PictureError for a file that cannot be opened.
    """
    with open_image(source, MAX_PIXELS, name_of(source)) as (image, _):
        tables = getattr(image, "quantization", None)
        if not tables:
            return None
        # A damaged file may have steps of 0.
        table: Table = np.maximum(np.array(tables[min(tables)]).reshape(8, 8), 1)
        return table.T if orientation_of(image) >= 5 else table
