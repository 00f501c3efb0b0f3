"""A `Picture` -> a file: whole or not at all, with everything that the format can hold."""

import io
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from upscale_cli.errors import PictureError, UpscaleError
from upscale_cli.imaging import metadata, png_chunks, profiles
from upscale_cli.imaging.atomic import whole_file
from upscale_cli.imaging.bands import interleaved_bands
from upscale_cli.imaging.formats import FORMATS, Format, check_output, holds_grey
from upscale_cli.imaging.picture import Picture, Samples
from upscale_cli.imaging.png_writing import write_png
from upscale_cli.imaging.tiff_writing import write_tiff

# 95 is where JPEG's losses stop to be seen; AVIF gets there at 90.
DEFAULT_QUALITY = {"JPEG": 95, "WEBP": 95, "AVIF": 90}
MAX_JPEG_EXIF_BYTES = 65_533
MAX_JPEG_DPI = 65_535
MAX_PROFILE_BYTES = {"JPEG": 255 * 65_519, "PNG": png_chunks.MAX_ANCILLARY_BYTES}
"""A JPEG numbers a profile's segments in one byte; a larger profile in a PNG is refused by this program's reading."""


def write_picture(
    picture: Picture,
    target: Path | BinaryIO,
    format: str,  # noqa: A002 - the word users know
    *,
    quality: int | None = None,
    provenance: Mapping[str, str] | None = None,
    keep_metadata: bool = True,
) -> tuple[str, ...]:
    """Writes `picture`; a path gets the whole file or, whatever happens, nothing.  Returns what was left out, in words.

    format: a key of `FORMATS`.  quality: 1 to 100 for JPEG (95 unless told, 4:4:4), WebP (95; 100 is without losses)
    and AVIF (90, 4:4:4).  provenance: how the picture was made, ASCII keys of at most 79 letters ("Software" is the
    program and its version).  keep_metadata: False leaves out EXIF and provenance; the profile is colour and stays.
    Raises UsageError where the format cannot hold the picture (see `check_output`), ResourceError for a full disk,
    PictureError for a target that cannot be written.
    """
    kind = FORMATS[format]
    check_output(
        format,
        picture.width,
        picture.height,
        bits=picture.bits,
        has_alpha=picture.alpha is not None,
        channels=picture.channels,
        quality=quality,
    )
    fitted, notes = _fitted(picture, kind)
    exif, exif_notes = _exif(fitted, format, provenance, keep_metadata)
    text = provenance if provenance and keep_metadata else {}
    with _opened(target, picture) as stream:
        if format == "PNG":
            write_png(fitted, stream, None if exif is None else exif.tobytes()[len(metadata.PREFIX) :], text)
        elif format == "TIFF":
            _write_seekable(fitted, stream, exif)
        elif format == "PPM":
            _write_ppm(fitted, stream)
        else:
            _write_with_pillow(fitted, stream, format, quality, exif)
    return notes + exif_notes


def _opened(target: Path | BinaryIO, picture: Picture) -> AbstractContextManager[BinaryIO]:
    if isinstance(target, Path):
        return whole_file(target, picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes))
    return nullcontext(target)


def _fitted(picture: Picture, kind: Format) -> tuple[Picture, tuple[str, ...]]:
    """The picture in the depth, channels and metadata that the format holds, with notes on what was left out."""
    notes: list[str] = []
    if picture.bits == 16 and not kind.deep:
        picture = replace(
            picture, pixels=_to_8_bit(picture.pixels), alpha=None if picture.alpha is None else _to_8_bit(picture.alpha)
        )
    if picture.channels == "grey" and not holds_grey(kind, picture.alpha is not None, picture.bits):
        if picture.metadata.icc:
            # A grey profile does not fit three channels.
            picture, note = _without_profile(picture, "the picture is written as RGB")
            notes.append(f"grey {note}")
        picture = replace(picture, pixels=np.repeat(picture.pixels, 3, axis=2))
    most = MAX_PROFILE_BYTES.get(kind.name)
    if picture.metadata.icc and most and len(picture.metadata.icc) > most:
        picture, note = _without_profile(picture, f"over {most} bytes, more than a {kind.name} holds")
        notes.append(note)
    if picture.metadata.icc and not kind.profile:
        picture, note = _without_profile(picture, f"{kind.name} holds none")
        notes.append(note)
    if picture.metadata.png_colour and kind.name != "PNG":
        kinds = ", ".join(chunk.decode("ascii") for chunk, _ in picture.metadata.png_colour)
        notes.append(f"what says that its colours are not sRGB ({kinds}) left out: {kind.name} holds none")
    if picture.metadata.dpi and not kind.dpi:
        notes.append(f"resolution left out: {kind.name} holds none")
    elif picture.metadata.dpi and kind.name == "JPEG" and max(picture.metadata.dpi) > MAX_JPEG_DPI:
        picture = replace(picture, metadata=replace(picture.metadata, dpi=None))
        notes.append(f"resolution left out: over {MAX_JPEG_DPI} dpi, more than a JPEG holds")
    return picture, tuple(notes)


def _to_8_bit(samples: Samples) -> Samples:
    """16 -> 8 bits, to the nearest level (257 to 1), in place of a cut that would darken."""
    eight = np.empty(samples.shape, np.uint8)
    for row, wide in enumerate(samples):
        eight[row] = (wide.astype(np.uint32) + 128) // 257
    return eight


def _without_profile(picture: Picture, why: str) -> tuple[Picture, str]:
    """The picture without its profile, in sRGB where it can be brought there; and a note that says which."""
    assert picture.metadata.icc is not None
    pixels = profiles.samples_to_srgb(picture.pixels, picture.metadata.icc)
    bare = replace(picture.metadata, icc=None)
    if pixels is None:
        return replace(picture, metadata=bare), f"colour profile left out: {why}"
    return replace(picture, pixels=pixels, metadata=bare), f"colour profile left out, converted to sRGB: {why}"


def _exif(
    picture: Picture, file_format: str, provenance: Mapping[str, str] | None, keep: bool
) -> tuple[Image.Exif | None, tuple[str, ...]]:
    kind = FORMATS[file_format]
    block = picture.metadata.exif
    if not keep:
        return None, ()
    if not kind.exif:
        return None, (f"EXIF left out: {kind.name} holds none",) if block else ()
    # A PNG has its own texts for provenance, and only these two have no other place for the resolution.
    signed = None if file_format == "PNG" else provenance
    dpi = picture.metadata.dpi if file_format in ("WEBP", "AVIF") else None
    try:
        exif = metadata.exif_for(block, picture.width, picture.height, dpi, signed)
        size = len(exif.tobytes()) if exif is not None else 0
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything at all, and is no reason to lose the picture
        return metadata.exif_for(None, 0, 0, dpi, signed), (metadata.BROKEN_EXIF,)
    if file_format == "JPEG" and size > MAX_JPEG_EXIF_BYTES:
        return metadata.exif_for(None, 0, 0, dpi, signed), (f"EXIF of {size} bytes left out: more than a JPEG holds",)
    return exif, ()


def _write_seekable(picture: Picture, stream: BinaryIO, exif: Image.Exif | None) -> None:
    if stream.seekable():
        write_tiff(picture, stream, exif)
        return
    with io.BytesIO() as memory:
        write_tiff(picture, memory, exif)
        memory.seek(0)
        shutil.copyfileobj(memory, stream)


def _write_ppm(picture: Picture, stream: BinaryIO) -> None:
    magic = "P5" if picture.channels == "grey" else "P6"
    stream.write(f"{magic}\n{picture.width} {picture.height}\n{(1 << picture.bits) - 1}\n".encode())
    for band in interleaved_bands(picture, ">"):
        stream.write(band.tobytes())


class _WriteOnly:
    """A stream without a file handle: through a handle Pillow's encoders lose the reason of a failure (a full disk)."""

    def __init__(self, stream: BinaryIO) -> None:
        self.write = stream.write
        self.flush = stream.flush


def _write_with_pillow(
    picture: Picture, stream: BinaryIO, file_format: str, quality: int | None, exif: Image.Exif | None
) -> None:
    options: dict[str, Any] = {} if exif is None else {"exif": exif}
    if picture.metadata.icc:
        options["icc_profile"] = picture.metadata.icc
    if picture.metadata.dpi:
        options["dpi"] = picture.metadata.dpi
    quality = quality or DEFAULT_QUALITY.get(file_format)
    if file_format == "JPEG":
        options |= {"quality": quality, "subsampling": "4:4:4"}
    elif file_format == "WEBP":
        # exact: colours under transparent pixels stay; they are what the next enlargement draws edges from.
        options |= {"quality": quality, "lossless": quality == 100, "exact": True, "use_sharp_yuv": True}
    elif file_format == "AVIF":
        options |= {"quality": quality} | ({"subsampling": "4:4:4"} if picture.channels == "rgb" else {})
    try:
        _image(picture).save(cast(BinaryIO, _WriteOnly(stream)), file_format, **options)
    except (UpscaleError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise PictureError(f"the {file_format} encoder failed: {error}", "choose PNG") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise PictureError(f"the {file_format} encoder failed: {error}", "choose PNG") from error


def _image(picture: Picture) -> Image.Image:
    if picture.alpha is not None:
        return Image.fromarray(np.concatenate([picture.pixels, picture.alpha[..., None]], axis=2))
    return Image.fromarray(picture.pixels[..., 0] if picture.channels == "grey" else picture.pixels)
