"""EXIF: what of it goes on, what is reset, and where provenance is written."""

import json
import math
from collections.abc import Mapping, MutableMapping
from typing import Any

from PIL import ExifTags, Image, TiffTags
from PIL.TiffImagePlugin import IPTC_NAA_CHUNK, PHOTOSHOP_CHUNK

from upscale_cli import SOFTWARE
from upscale_cli.imaging import png_chunks

BASE, IFD = ExifTags.Base, ExifTags.IFD

PREFIX = b"Exif\0\0"

# What describes the photo.  Everything else in the first directory describes the file it came in (strips, tables,
# thumbnails, map coordinates of each pixel) and would be wrong in another.
DESCRIPTIVE = (
    *(BASE.ImageDescription, BASE.Make, BASE.Model, BASE.XResolution, BASE.YResolution, BASE.ResolutionUnit),
    *(BASE.Software, BASE.DateTime, BASE.Artist, BASE.HostComputer, BASE.Rating, BASE.RatingPercent, BASE.Copyright),
    *(BASE.XPTitle, BASE.XPComment, BASE.XPAuthor, BASE.XPKeywords, BASE.XPSubject),
)

# A program's name is replaced by this one's; XMP is told of apart, EXIF kept.
_NOT_TEXT = ("Software", "XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1")

_IN_PIXELS = (0x9214, 0xA214, 0xA20E, 0xA20F, 0xA210)
"""Of the first picture: its subject's area and place, and the sensor's pixels per unit."""
_IPTC_RESOURCE = b"8BIM\x04\x04"

BROKEN_EXIF = "EXIF damaged: dropped"

# As EXIF 2.3 has them; Pillow knows few of these and would write bytes as BYTE, what is not negative as RATIONAL.
_UNDEFINED = {
    IFD.Exif: (BASE.ComponentsConfiguration, BASE.MakerNote, BASE.UserComment, BASE.FileSource, BASE.SceneType),
    IFD.GPSInfo: (ExifTags.GPS.GPSProcessingMethod, ExifTags.GPS.GPSAreaInformation),
}
_SIGNED = {IFD.Exif: (BASE.ShutterSpeedValue, BASE.BrightnessValue, BASE.ExposureBiasValue)}
for _types, _type in ((_UNDEFINED, TiffTags.UNDEFINED), (_SIGNED, TiffTags.SIGNED_RATIONAL)):
    for _directory_tag, _tags in _types.items():
        _known = TiffTags.TAGS_V2_GROUPS.setdefault(_directory_tag, {})
        _known.update({tag: TiffTags.TagInfo(tag, tag.name, _type, 1) for tag in _tags if tag not in _known})


class _AsRead(str):
    """A text of EXIF, which Pillow reads as Latin-1, whatever it is, and would write with '?' for all but ASCII."""

    def encode(self, encoding: str = "latin-1", errors: str = "replace") -> bytes:  # noqa: ARG002 - Pillow asks for ASCII
        """The bytes that were read."""
        return super().encode("latin-1", "replace")


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    if image.format == "PNG" and "exif" not in image.info and not _may_follow(image):
        return 1
    try:
        value = image.getexif().get(BASE.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything at all, and is no reason to refuse the pixels
        return 1
    return value if value in range(1, 9) else 1


def _may_follow(image: Image.Image) -> bool:
    """Whether a PNG that is just opened may hold EXIF behind its pixels, for which Pillow would decode them all."""
    stream = getattr(image, "fp", None)
    return stream is None or png_chunks.holds_exif(stream)


def read_exif(image: Image.Image, *, turned: bool = False) -> tuple[bytes | None, tuple[str, ...]]:
    """The EXIF block to keep (see `Metadata`), or None; with a note where it was damaged.

    turned: whether the picture, upright, is as wide as it is high in the file.
    """
    try:
        kept = _kept(image.getexif())
        if turned:
            _turn_resolution(kept)
        return (kept.tobytes() if len(kept) else None), ()
    except Exception:  # noqa: BLE001 - see orientation_of
        return None, (BROKEN_EXIF,)


def _kept(exif: Image.Exif) -> Image.Exif:
    kept = Image.Exif()
    kept.endian = exif.endian
    for tag in DESCRIPTIVE:
        if tag in exif:
            kept[tag] = exif[tag]
    for directory in (IFD.Exif, IFD.GPSInfo):
        if values := _directory(exif, directory):
            _keep_texts(values)
            kept[directory] = values
    _keep_texts(kept)
    return kept


def _keep_texts(directory: MutableMapping[int, Any]) -> None:
    """Its texts will be written in the bytes that they were read from."""
    directory.update({tag: _AsRead(value) for tag, value in directory.items() if isinstance(value, str)})


def _turn_resolution(exif: Image.Exif) -> None:
    across, down = exif.pop(BASE.YResolution, None), exif.pop(BASE.XResolution, None)
    exif.update({tag: value for tag, value in ((BASE.XResolution, across), (BASE.YResolution, down)) if value})


def _directory(exif: Image.Exif, directory: int) -> dict[int, Any]:
    values = dict(exif.get_ifd(directory))
    if IFD.Interop in values:
        values[IFD.Interop] = dict(exif.get_ifd(IFD.Interop))
    return values


def not_kept(image: Image.Image) -> tuple[str, ...]:
    """A note where the file holds XMP or IPTC, which may describe its size and orientation; PNG texts, or a comment.

    Asked of a loaded image: texts may follow the pixels.
    """
    there = {
        "XMP": "xmp" in image.info,
        "IPTC": 0x0404 in image.info.get("photoshop", {}) or _tiff_has_iptc(image),
        "text": _has_text(image),
        "comment": bool(image.info.get("comment")),
    }
    names = [name for name, found in there.items() if found]
    *others, last = names or [""]
    return (f"{', '.join(others)} and {last} left out" if others else f"{last} left out",) if names else ()


def _tiff_has_iptc(image: Image.Image) -> bool:
    """By itself, or among Photoshop's resources."""
    tags = getattr(image, "tag_v2", {})
    resources = tags.get(PHOTOSHOP_CHUNK, ())
    blocks = resources if isinstance(resources, tuple) else (resources,)
    return IPTC_NAA_CHUNK in tags or any(isinstance(block, bytes) and _IPTC_RESOURCE in block for block in blocks)


def _has_text(image: Image.Image) -> bool:
    """Whether a PNG holds texts of somebody's: not the name of a program, nor what this one wrote."""
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    ours = str(texts.get("Software", "")).startswith(SOFTWARE)
    return not ours and any(key not in _NOT_TEXT for key in texts)


def read_dpi(image: Image.Image, *, turned: bool = False) -> tuple[float, float] | None:
    """Dots per inch across and down where the file, or its EXIF, gives two sensible ones; turned as in `read_exif`."""
    try:
        across, down = (float(value) for value in _file_dpi(image) or _exif_dpi(image.getexif()))
    except Exception:  # noqa: BLE001 - see orientation_of
        return None
    sensible = all(math.isfinite(value) and 0 < value < 1e6 for value in (across, down))
    if turned:
        across, down = down, across
    return (across, down) if sensible else None


def _file_dpi(image: Image.Image) -> Any:
    # Pillow says 1 for a TIFF without a resolution, and 72 for a JPEG.
    if image.format == "TIFF" or (image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2)):
        return None
    return image.info.get("dpi")


def _exif_dpi(exif: Image.Exif) -> tuple[float, float]:
    # Inch, centimetre; 1 is a ratio only, and no resolution.
    per_unit = {2: 1.0, 3: 2.54}[exif.get(BASE.ResolutionUnit, 2)]
    return float(exif[BASE.XResolution]) * per_unit, float(exif[BASE.YResolution]) * per_unit


def exif_for(
    block: bytes | None,
    width: int,
    height: int,
    dpi: tuple[float, float] | None,
    provenance: Mapping[str, str] | None,
) -> Image.Exif | None:
    """`block` brought up to date for a picture of `width` x `height`, with the provenance; None where all is empty.

    dpi: given only for a file format that has no other place for it.
    """
    exif = Image.Exif()
    if block:
        exif.load(block)
        for directory in (exif, exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)):
            _keep_texts(directory)
        _resize(exif, width, height)
    if dpi:
        exif[BASE.XResolution], exif[BASE.YResolution] = dpi
        exif[BASE.ResolutionUnit] = 2
    if provenance:
        _sign(exif, provenance)
    return exif if len(exif) else None


def _resize(exif: Image.Exif, width: int, height: int) -> None:
    exif[BASE.Orientation] = 1
    # The directory's own dictionary: what is changed in it is written.
    details = exif.get_ifd(IFD.Exif)
    # It holds where its own directory stood in the file that it came in.
    if IFD.Interop in details:
        details[IFD.Interop] = dict(exif.get_ifd(IFD.Interop))
    for tag in _IN_PIXELS:
        details.pop(tag, None)
    for tag, value in ((BASE.ExifImageWidth, width), (BASE.ExifImageHeight, height)):
        if tag in details:
            details[tag] = value


def _sign(exif: Image.Exif, provenance: Mapping[str, str]) -> None:
    """The program's name in Software, all of it as JSON in the first comment that the photographer left free."""
    if software := provenance.get("Software"):
        exif[BASE.Software] = software
    text = json.dumps(dict(provenance))
    details = exif.get_ifd(IFD.Exif)
    if not _bytes(details.get(BASE.UserComment, b""))[8:].strip(b" \0"):
        details[BASE.UserComment] = b"ASCII\0\0\0" + text.encode("ascii")
        exif[IFD.Exif] = details
    elif not str(exif.get(BASE.ImageDescription, "")).strip(" \0"):
        exif[BASE.ImageDescription] = text


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else value
