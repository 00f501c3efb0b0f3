"""Picture files made in code, for the tests of this room."""

import functools
import io
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import skimage.data
from PIL import Image, ImageCms

from upscale_cli.imaging.files import Picture, read_header, read_picture


def photo(height: int = 60, width: int = 90) -> np.ndarray:
    """A real photograph, (height, width, 3) uint8."""
    return np.array(Image.fromarray(skimage.data.chelsea()).resize((width, height), Image.Resampling.LANCZOS))


def deep_photo(height: int = 60, width: int = 90, channels: int = 3) -> np.ndarray:
    """The photograph in 16 bits whose low bytes are not empty, (height, width, channels) uint16."""
    wide = (
        photo(height, width).astype(np.uint16) * 257
        ^ np.arange(height * width * 3, dtype=np.uint16).reshape(height, width, 3) % 251
    )
    return np.ascontiguousarray(wide[..., :channels])


def alpha_ramp(height: int = 60, width: int = 90, dtype: type = np.uint8) -> np.ndarray:
    """Alpha from 0 to the type's maximum, (height, width)."""
    ramp = np.linspace(0, np.iinfo(dtype).max, width).astype(dtype)
    return np.ascontiguousarray(np.broadcast_to(ramp, (height, width)))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    with io.BytesIO() as stream:
        image.save(stream, file_format, **options)
        return stream.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colour_type: int, rows: bytes, extra: Mapping[bytes, bytes] | None = None
) -> bytes:
    """A PNG written by hand; `rows`: the unfiltered bytes, all rows after each other."""
    step = len(rows) // height if height else 0
    raw = b"".join(b"\0" + rows[at * step : (at + 1) * step] for at in range(height if step else 0))
    parts = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))]
    parts += [png_chunk(kind, body) for kind, body in (extra or {}).items()]
    parts += [png_chunk(b"IDAT", zlib.compress(raw)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def exif_with(orientation: int | None = None) -> Image.Exif:
    """Camera EXIF: make, model, date, exposure, pixel sizes, a place."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Maker", "Model 7", "2024:05:06 07:08:09"
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0xA002: 90, 0xA003: 60, 0x9003: "2024:05:06 07:08:09"})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 30.0, 0.0)})
    if orientation is not None:
        exif[0x0112] = orientation
    return exif


@functools.cache
def srgb_profile() -> bytes:
    """Once for all: a profile holds the second of its making."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _profile(space: bytes, connection: bytes, kind: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """An ICC version 2 profile with these tags."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78), **tags}
    tags = {b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(0.9642, 1.0, 0.8249), **tags}
    table, bodies, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        padded = body + bytes(-len(body) % 4)
        table += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += padded
    head = bytearray(128)
    struct.pack_into(
        ">I4s4s4s4s4s", head, 0, 128 + len(table) + len(bodies), bytes(4), b"\2\x10\0\0", kind, space, connection
    )
    head[36:40] = b"acsp"
    head[68:80] = _xyz(0.9642, 1.0, 0.8249)[8:]
    return bytes(head) + table + bodies


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def grey_profile(gamma: float) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": curve})


def adobe_rgb_profile() -> bytes:
    """Adobe RGB (1998): wider than sRGB in green, gamma 2.2."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))
    primaries = {b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087)}
    primaries[b"bXYZ"] = (0.14919, 0.06322, 0.74457)
    tags = {name: _xyz(*values) for name, values in primaries.items()}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def cmyk_profile(first_ink: tuple[int, int, int]) -> bytes:
    """A printer whose "cyan" has the Lab colour given (0-100, -128-127, -128-127); all other inks are black."""
    lightness, a, b = first_ink
    ink = bytes([round(lightness * 2.55), a + 128, b + 128])
    corners = {0: bytes([255, 128, 128]), 8: ink}
    grid = b"".join(corners.get(corner, bytes([0, 128, 128])) for corner in range(16))
    line = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + line * 4 + grid + line * 3
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table, b"A2B1": table})


def read(data: bytes) -> Picture:
    """The picture, after checking that its header promised just that."""
    header, picture = read_header(data), read_picture(data)
    assert (header.width, header.height) == (picture.width, picture.height)
    assert (header.bits, header.channels) == (picture.bits, picture.channels)
    assert header.has_alpha == (picture.alpha is not None)
    assert header.notes == picture.notes[: len(header.notes)]
    assert header.format == picture.metadata.source_format
    return picture
