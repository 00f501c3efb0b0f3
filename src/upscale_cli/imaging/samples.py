"""A Pillow image, of any mode it may have, -> plain samples (H, W, 1 or 3) and alpha (H, W)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from upscale_cli.errors import PictureError
from upscale_cli.imaging import depth, png_chunks, profiles
from upscale_cli.imaging.decoding import APART, PLANAR_CONFIGURATION
from upscale_cli.imaging.picture import Channels, Samples

READ_AS_8_BIT = "its samples of more than 8 bits are read as 8 bit"

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_CONVERTED_MODES = ("CMYK", "LAB")
_PLAIN_MODE = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _EXTRA = 258, 262, 338
_MIN_IS_WHITE, _PREMULTIPLIED = 0, 1


@dataclass(frozen=True)
class Layout:
    """What samples decoding will give.  transparent: the sample value(s) that mean "nothing here", else None."""

    bits: int
    channels: Channels
    has_alpha: bool
    transparent: Any
    notes: tuple[str, ...]


def layout_of(image: ImageFile, name: str) -> Layout:
    """Read from the header, before `image` is loaded.  Raises PictureError for float and 32-bit samples."""
    if image.mode in ("F", "HSV") or (image.mode == "I" and image.format != "PPM"):
        # They have no agreed white; to guess one would change the picture.
        raise PictureError(f"{name}: its samples ({image.mode}) are not 8 or 16 bit integers", "convert it to 16 bit")
    rawmode = _rawmode(image)
    if rawmode in ("R", "G", "B", "A") and _tiff_bits(image) > 8:
        # Decoded without a complaint, and wrongly.
        raise PictureError(f"{name}: its 16-bit colours lie in separate planes", "save it with interleaved colours")
    if image.mode == "LAB" and _tags(image).get(PLANAR_CONFIGURATION) == APART:
        # Pillow takes a* and b* for unsigned there.
        raise PictureError(f"{name}: its LAB colours lie in separate planes", "save it with interleaved colours")
    grey = image.mode in _GREY_MODES or rawmode.startswith("LA;")
    notes = (profiles.conversion_note(image),) if image.mode in _CONVERTED_MODES else ()
    deep = image.mode.startswith("I") or _has_deep_colour(image, rawmode)
    kept = deep and (image.mode.startswith("I") or _can_widen(image))
    return Layout(
        bits=16 if kept else 8,
        channels="grey" if grey else "rgb",
        has_alpha=image.mode in _ALPHA_MODES or "transparency" in image.info,
        transparent=_transparent_colour(image, rawmode),
        notes=(*notes, READ_AS_8_BIT) if deep and not kept else notes,
    )


def _has_deep_colour(image: ImageFile, rawmode: str) -> bool:
    """Whether the file holds colours of more than 8 bits, which Pillow hands over as 8."""
    if image.format == "PPM":
        arguments = image.tile[0].args
        return isinstance(arguments, tuple) and rawmode == "RGB" and int(arguments[1]) > 255
    if image.format == "AVIF":
        return _avif_bits(image) > 8
    if image.format == "TIFF":
        return _tiff_bits(image) > 8
    return image.format == "PNG" and "16" in rawmode


def _can_widen(image: ImageFile) -> bool:
    if _tags(image).get(_EXTRA) == (_PREMULTIPLIED,):
        return False
    return image.format in ("PNG", "TIFF", "PPM") and image.mode in ("RGB", "RGBA") and image.tile[0][0] != "ppm_plain"


def _tags(image: Image.Image) -> dict[int, Any]:
    return getattr(image, "tag_v2", {})


def _tiff_bits(image: Image.Image) -> int:
    return int(max(_tags(image).get(_BITS_PER_SAMPLE, (8,))))


def _avif_bits(image: ImageFile) -> int:
    """Bits of a channel, from the first pixel information box; 8 where there is none near the start."""
    stream = image.fp
    assert stream is not None
    stream.seek(0)
    start = stream.read(1 << 20)
    box = start.find(b"pixi")
    return start[box + 9] if 0 <= box < len(start) - 9 else 8


def _rawmode(image: ImageFile) -> str:
    """How the samples lie in the file, as Pillow's decoders are told; "" where they are not."""
    arguments = image.tile[0].args if image.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _transparent_colour(image: ImageFile, rawmode: str) -> Any:
    key = image.info.get("transparency")
    if key is None or image.mode == "P":
        return None
    # Grey of 2 or 4 bits is stretched to 8 by decoding; the key is not.
    return key * {"L;2": 85, "L;4": 17}.get(rawmode, 1) if isinstance(key, int) else key


def decode(image: ImageFile, layout: Layout, data: bytes) -> tuple[Samples, Samples | None, tuple[str, ...]]:
    """Pixels (H, W, 1 or 3), alpha (H, W) or None, and notes.  `data`: the file that `image` was opened from.

    Lets through whatever the decoders raise for a damaged file.
    """
    image.load()
    if image.mode.startswith("I"):
        return *_split(_grey_16(image), layout), ()
    eight = _eight_bit(image, layout.has_alpha)
    if layout.bits == 8:
        return *_split(eight, layout), ()
    wide = _widened(image, eight, data)
    if wide is None:
        return *_split(eight, layout), (READ_AS_8_BIT,)
    return *_split(wide, layout), ()


def _eight_bit(image: Image.Image, has_alpha: bool) -> NDArray[np.uint8]:
    """(H, W, 1 to 4)."""
    if image.mode in _CONVERTED_MODES:
        image = profiles.to_srgb(image)
    elif image.mode == "P":
        image = image.convert("RGBA" if has_alpha else "RGB")
    elif image.mode in _PLAIN_MODE:
        image = image.convert(_PLAIN_MODE[image.mode])
    return np.atleast_3d(np.array(image))


def _grey_16(image: Image.Image) -> NDArray[np.uint16]:
    """(H, W, 1).  12-bit samples and those where 0 is white, which Pillow hands over as they are, are put right."""
    samples = np.atleast_3d(np.array(image).astype(np.uint16))
    tags = _tags(image)
    if tags.get(_BITS_PER_SAMPLE) == (12,):
        samples = np.rint(samples * np.float32(65535 / 4095)).astype(np.uint16)
    return 65535 - samples if tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE else samples


def _widened(image: ImageFile, eight: NDArray[np.uint8], data: bytes) -> NDArray[np.uint16] | None:
    if image.format == "PPM":
        return depth.read_ppm(data)
    return depth.widen(png_chunks.only_pixels(data) if image.format == "PNG" else data, eight)


def _split(samples: Samples, layout: Layout) -> tuple[Samples, Samples | None]:
    """`samples` (H, W, 1 to 4) as pixels and alpha; the transparent colour becomes alpha 0."""
    pixels = np.ascontiguousarray(samples[..., : 1 if layout.channels == "grey" else 3])
    if samples.shape[2] in (2, 4):
        return pixels, np.ascontiguousarray(samples[..., -1])
    if layout.transparent is None:
        return pixels, None
    white = np.iinfo(pixels.dtype).max
    visible = (pixels != (np.asarray(layout.transparent) & white)).any(axis=2)
    return pixels, np.where(visible, white, 0).astype(pixels.dtype)
