"""What a picture is inside the program: samples, transparency, and what the file said about them."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16, the full range of the type from black to white."""

Channels = Literal["grey", "rgb"]


@dataclass(frozen=True)
class Metadata:
    """What travels beside the pixels.

    icc: the ICC profile the samples are meant in, None for sRGB.  exif: an EXIF block ("Exif\\0\\0" and a TIFF
    structure) without orientation and without thumbnail.  dpi: across and down.  source_format: as in `Header`.
    png_colour: the chunks (kind, body) by which a PNG says that its samples are not sRGB, beside or without a profile.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    source_format: str = ""
    png_colour: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Header:
    """What a file's header promises: `width` x `height` pixels, upright, with `bits` (8 or 16) for each sample.

    frames: how many pictures the file holds; only the first is read.  notes: what reading will change or leave out.
    """

    format: str
    width: int
    height: int
    bits: int
    channels: Channels
    has_alpha: bool
    frames: int = 1
    notes: tuple[str, ...] = ()


@dataclass
class Picture:
    """An upright picture: `pixels` (H, W, 1 or 3) and `alpha` (H, W) or None, both uint8 or both uint16.

    Colours are not multiplied by alpha.  notes: what reading changed or left out, in words for the user.
    """

    pixels: Samples
    alpha: Samples | None = None
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])

    @property
    def bits(self) -> int:
        """Bits of a sample: 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    @property
    def channels(self) -> Channels:
        """What `pixels` holds, transparency aside."""
        return "grey" if self.pixels.shape[2] == 1 else "rgb"
