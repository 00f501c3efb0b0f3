"""The file formats that are written, and what each of them can hold."""

from dataclasses import dataclass

from upscale_cli.errors import UsageError
from upscale_cli.imaging.picture import Channels

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
    ".avif": "AVIF",
}
"""Suffix -> the format written under it."""
PICTURE_SUFFIXES = frozenset((*SUFFIXES, ".dib", ".pbm", ".gif"))
"""Of pictures that are read. What a file is shows once it is opened; a folder's other files are not even opened."""


@dataclass(frozen=True)
class Format:
    """What a format holds.  Limits in pixels, None where there is none worth naming; `max_bytes` of raw samples."""

    name: str
    suffix: str
    deep: bool = False
    alpha: bool = False
    grey: bool = True
    lossy: bool = False
    profile: bool = True
    exif: bool = True
    dpi: bool = True
    max_side: int | None = None
    max_pixels: int | None = None
    max_bytes: int | None = None


# Offsets in a TIFF and the length of a BMP are 32 bits; the rest of the file needs a little room too.
_FOUR_GIB = (1 << 32) - (1 << 20)

FORMATS = {
    "PNG": Format("PNG", ".png", deep=True, alpha=True, max_side=(1 << 31) - 1),
    # The format could hold 65,535; every encoder in use stops at 65,500.
    "JPEG": Format("JPEG", ".jpg", lossy=True, max_side=65_500),
    "WEBP": Format("WebP", ".webp", alpha=True, grey=False, lossy=True, max_side=16_383),
    "BMP": Format("BMP", ".bmp", profile=False, exif=False, max_bytes=_FOUR_GIB),
    # Deflate seldom makes a file larger than its samples, but often hardly smaller.
    "TIFF": Format("TIFF", ".tif", deep=True, alpha=True, max_bytes=_FOUR_GIB),
    "PPM": Format("PPM", ".ppm", deep=True, profile=False, exif=False, dpi=False),
    # What decoders accept, this program's among them.
    "AVIF": Format("AVIF", ".avif", alpha=True, lossy=True, max_side=32_768, max_pixels=1 << 28),
}


def format_for(suffix: str) -> str:
    """The format written for a suffix or a format's name (".JPG", "jpg", "tiff").  Raises UsageError."""
    key = "." + suffix.lower().lstrip(".")
    if key not in SUFFIXES:
        raise UsageError(f"no picture format is called '{suffix}'", f"choose one of {', '.join(SUFFIXES)}")
    return SUFFIXES[key]


def check_output(
    format: str,  # noqa: A002 - the word users know
    width: int,
    height: int,
    *,
    bits: int,
    has_alpha: bool,
    channels: Channels,
    quality: int | None = None,
) -> tuple[str, ...]:
    """What the output will lose, in words for the user.  To be asked before any work is done.

    Raises UsageError for a picture that the format cannot hold at all, and for a quality outside 1 to 100.
    """
    target = FORMATS[format]
    if has_alpha and not target.alpha:
        raise UsageError(f"{target.name} cannot hold transparency", "choose PNG, WebP or TIFF")
    _check_size(target, width, height, bits // 8 * ((1 if channels == "grey" else 3) + has_alpha))
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is outside 1 to 100", "95 is nearly free of losses")
    return tuple(_losses(target, bits, has_alpha, channels, quality))


def _check_size(target: Format, width: int, height: int, bytes_per_pixel: int) -> None:
    size = f"{width} x {height} pixels"
    if target.max_side is not None and max(width, height) > target.max_side:
        raise UsageError(f"{target.name} holds at most {target.max_side} pixels a side, not {size}", _LARGER)
    if target.max_pixels is not None and width * height > target.max_pixels:
        raise UsageError(f"{target.name} holds at most {target.max_pixels} pixels, not {size}", _LARGER)
    if target.max_bytes is not None and width * height * bytes_per_pixel > target.max_bytes:
        raise UsageError(f"{target.name} holds at most 4 GiB, not {size} of {bytes_per_pixel} bytes", _LARGER)


_LARGER = "choose PNG, or a smaller scale"


def _losses(target: Format, bits: int, has_alpha: bool, channels: Channels, quality: int | None) -> list[str]:
    losses = []
    if bits == 16 and not target.deep:
        losses.append(f"16-bit input is written as 8 bit: {target.name} holds no more")
    if channels == "grey" and not holds_grey(target, has_alpha, 16 if bits == 16 and target.deep else 8):
        losses.append(f"grey is written as RGB: {target.name} holds no such grey")
    if quality is not None and not target.lossy:
        losses.append(f"quality {quality} changes nothing: {target.name} has no losses")
    return losses


def holds_grey(target: Format, has_alpha: bool, bits: int) -> bool:
    """Whether grey stays one channel.  Hardly a program reads a TIFF of 16-bit grey with alpha, this one neither."""
    if target.name == "AVIF":
        return not has_alpha
    return target.grey and not (target.name == "TIFF" and has_alpha and bits == 16)
