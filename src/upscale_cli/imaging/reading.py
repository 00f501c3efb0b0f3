"""A file -> a `Header` or a whole, upright `Picture`.  Never half a picture: what is damaged is refused."""

from pathlib import Path

import numpy as np
from PIL.ImageFile import ImageFile

from upscale_cli.errors import PictureError
from upscale_cli.imaging import avif_colour, jpeg_damage, metadata, png_chunks, profiles
from upscale_cli.imaging.decoding import MAX_PIXELS, name_of, open_image, open_stream
from upscale_cli.imaging.picture import Header, Metadata, Picture, Samples
from upscale_cli.imaging.samples import Layout, decode, layout_of

SIDEWAYS = 5
"""EXIF orientations from here on exchange width and height."""

# Formats that Pillow knows under a second name.
_SAME_FORMAT = {"MPO": "JPEG"}


def read_header(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Header:
    """The header alone, in little time and memory whatever it promises.

    Raises PictureError for anything that is not a readable picture of at most `max_pixels`.
    """
    name = name_of(source)
    with open_image(source, max_pixels, name) as (image, frames):
        return _header(image, layout_of(image, name), frames)


def read_picture(source: Path | bytes, max_pixels: int = MAX_PIXELS, promised: Header | None = None) -> Picture:
    """The first picture of the file, whole and upright; 16 bits stay 16, CMYK and LAB become sRGB.

    promised: what `read_header` gave, where something was planned by it.  Raises PictureError as that does, for a
    damaged or truncated file, and for one that has another header now; ResourceError without memory.
    """
    name = name_of(source)
    with open_stream(source, name) as stream:
        # One reading: what is checked and what is decoded are the same bytes, whoever writes to the file meanwhile.
        data = stream.read()
    with open_image(data, max_pixels, name) as (image, frames):
        layout = layout_of(image, name)
        header = _header(image, layout, frames)
        if promised not in (None, header):
            raise PictureError(f"{name}: was changed while it waited for its turn", "run this again")
        damage_notes: tuple[str, ...] = ()
        if header.format == "PNG":
            png_chunks.prove_whole(data, name)
        elif header.format == "JPEG":
            damage_notes = jpeg_damage.prove_whole(data, name)
        turned = metadata.orientation_of(image) >= SIDEWAYS
        orientation = _orientation_left(image)
        exif, exif_notes = metadata.read_exif(image, turned=turned)
        dpi = metadata.read_dpi(image, turned=turned)
        pixels, alpha, depth_notes = decode(image, layout, data)
        other_notes = metadata.not_kept(image)  # which may follow the pixels
        icc, icc_notes = profiles.kept_profile(image, header.channels)
        png_colour = _colour_chunks(data, header.format, icc is not None)
    return Picture(
        _upright(pixels, orientation),
        None if alpha is None else _upright(alpha, orientation),
        Metadata(icc, exif, dpi, header.format, png_colour),
        header.notes + damage_notes + depth_notes + exif_notes + other_notes + icc_notes,
    )


def _colour_chunks(data: bytes, file_format: str, has_profile: bool) -> tuple[tuple[bytes, bytes], ...]:
    """What the file says beside a profile of its colours, as a PNG does; () where that is sRGB."""
    if file_format == "PNG":
        return png_chunks.colour_chunks(data, has_profile)
    if file_format == "AVIF" and not has_profile:
        return avif_colour.colour_chunk(data)
    return ()


def _header(image: ImageFile, layout: Layout, frames: int) -> Header:
    width, height = image.size
    if _orientation_left(image) >= SIDEWAYS:
        width, height = height, width
    first = (f"frame 1 of {frames}: the others are left out",) if frames > 1 else ()
    file_format = str(image.format)
    return Header(
        format=_SAME_FORMAT.get(file_format, file_format),
        width=width,
        height=height,
        bits=layout.bits,
        channels=layout.channels,
        has_alpha=layout.has_alpha,
        frames=frames,
        notes=first + layout.notes,
    )


def _orientation_left(image: ImageFile) -> int:
    """The orientation still to be applied: Pillow turns a TIFF itself, in its size and while it loads."""
    return 1 if image.format == "TIFF" else metadata.orientation_of(image)


def _upright(samples: Samples, orientation: int) -> Samples:
    """EXIF orientation 1 to 8 undone on (H, W) or (H, W, C)."""
    if orientation >= SIDEWAYS:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
