"""A TIFF of 8 or 16 bits, deflated with horizontal differences, written strip by strip.

Pillow writes no 16-bit colour; its directories are used.
"""

import struct
import zlib
from typing import BinaryIO

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from upscale_cli.imaging.bands import interleaved_bands
from upscale_cli.imaging.picture import Picture, Samples

BASE = ExifTags.Base
_DEFLATE, _HORIZONTAL, _CONTIGUOUS, _UNASSOCIATED_ALPHA, _INCH = 8, 2, 1, 2, 2
_MIN_IS_BLACK, _RGB = 1, 2
_PREDICTOR, _EXTRA_SAMPLES, _ICC = 317, 338, 34675
# As for PNG: a higher level gains little and takes three times as long.
_LEVEL = 4


def write_tiff(picture: Picture, stream: BinaryIO, exif: Image.Exif | None) -> None:
    """The picture with its profile, its resolution and what `exif` says.  `stream` must be able to seek back."""
    start = stream.tell()
    stream.write(b"II*\0\0\0\0\0")
    offsets, lengths, rows = [], [], 0
    for band in interleaved_bands(picture, "<"):
        rows = rows or len(band)
        packed = zlib.compress(_differences(band), _LEVEL)
        offsets.append(stream.tell() - start)
        lengths.append(stream.write(packed))
    stream.write(b"\0" * ((stream.tell() - start) % 2))
    directory = stream.tell() - start
    stream.write(_tags(picture, exif, offsets, lengths, rows, directory))
    stream.seek(start + 4)
    stream.write(struct.pack("<I", directory))
    stream.seek(0, 2)


def _differences(band: Samples) -> bytes:
    band = band.copy()
    band[:, 1:] -= band[:, :-1].copy()
    return band.tobytes()


def _tags(
    picture: Picture, exif: Image.Exif | None, offsets: list[int], lengths: list[int], rows: int, position: int
) -> bytes:
    samples = picture.pixels.shape[2] + (picture.alpha is not None)
    tags = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag, value in _described(exif).items():
        tags[tag] = value
    tags[BASE.ImageWidth], tags[BASE.ImageLength] = picture.width, picture.height
    tags[BASE.BitsPerSample] = (picture.bits,) * samples
    tags[BASE.Compression], tags[_PREDICTOR] = _DEFLATE, _HORIZONTAL
    tags[BASE.PhotometricInterpretation] = _MIN_IS_BLACK if picture.channels == "grey" else _RGB
    tags[BASE.SamplesPerPixel], tags[BASE.PlanarConfiguration] = samples, _CONTIGUOUS
    tags[BASE.RowsPerStrip], tags[BASE.StripByteCounts] = rows, tuple(lengths)
    tags.tagtype[BASE.StripOffsets] = tags.tagtype[BASE.StripByteCounts] = 4
    if picture.alpha is not None:
        tags[_EXTRA_SAMPLES] = _UNASSOCIATED_ALPHA
    if picture.metadata.dpi:
        tags[BASE.XResolution], tags[BASE.YResolution] = picture.metadata.dpi
        tags[BASE.ResolutionUnit] = _INCH
    if picture.metadata.icc:
        tags.tagtype[_ICC] = 7
        tags[_ICC] = picture.metadata.icc
    return _placed(tags, offsets, position)


def _placed(tags: ImageFileDirectory_v2, offsets: list[int], position: int) -> bytes:
    """The directory's bytes.  Pillow moves offsets as if the strips stood behind it, so they are put in afterwards."""
    tags[BASE.StripOffsets] = (0,) * len(offsets)
    directory = bytearray(tags.tobytes(position))
    entry = next(at for at in range(2, len(directory), 12) if _short(directory, at) == BASE.StripOffsets)
    place = entry + 8 if len(offsets) == 1 else struct.unpack_from("<I", directory, entry + 8)[0] - position
    struct.pack_into(f"<{len(offsets)}I", directory, place, *offsets)
    return bytes(directory)


def _short(data: bytearray, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _described(exif: Image.Exif | None) -> dict[int, object]:
    if exif is None:
        return {}
    described = dict(exif)
    described.update({tag: exif.get_ifd(tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) if exif.get_ifd(tag)})
    return described
