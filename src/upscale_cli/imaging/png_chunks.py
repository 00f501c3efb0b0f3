"""The chunks of a PNG file, seen without decoding a pixel."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from upscale_cli.errors import PictureError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = (b"tEXt", b"zTXt", b"iTXt")
COLOUR_BYTES = {b"cICP": 4, b"cHRM": 32, b"gAMA": 4}
"""The chunks that say what the samples mean, sRGB and iCCP apart, and how long they are."""

# White, red, green and blue, x and y, in 1/100,000; and the exponent in the same.
_SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_GAMMA = 45455
_SRGB_CICP = bytes([1, 13, 0, 1])
_ROUNDING = 200

_STANDING_IN = (b"Raw profile type exif", b"XML:com.adobe.xmp")
"""Keywords of texts with EXIF as older programs wrote it, and with XMP."""
_LONGEST = max(map(len, _STANDING_IN))
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a pixel, by type of colour."""
_ONE_PASS = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The first column and row of each pass, and how many it goes on by."""
_UNPACKED_AT_ONCE = 1 << 20

MAX_TEXT_BYTES = 1 << 20
# The widest profiles in use are a few MiB; whatever stands before the pixels is read into memory at once.
MAX_ANCILLARY_BYTES = 16 << 20


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk as it stands in the file: length, kind, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def walk(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, position of the body, its length) of each chunk up to IEND; ends early where the file does."""
    stream.seek(len(SIGNATURE))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        position = stream.tell()
        yield kind, position, length
        if kind == b"IEND":
            return
        stream.seek(position + length + 4)


def holds_exif(stream: BinaryIO) -> bool:
    """Whether EXIF, or XMP, which may stand in for it, is anywhere in the file; the stream stays in place."""
    place = stream.tell()
    try:
        return any(
            kind == b"eXIf" or (kind in TEXT and stream.read(_LONGEST).startswith(_STANDING_IN))
            for kind, _, _ in walk(stream)
        )
    finally:
        stream.seek(place)


def refuse_swollen_chunks(stream: BinaryIO, name: str) -> None:
    """Raises PictureError for text over 1 MiB, or anything else beside the pixels over 16 MiB.

    The decoder stops what is compressed, text or profile, at 16 MiB.
    """
    for kind, _, length in walk(stream):
        limit = MAX_TEXT_BYTES if kind in TEXT else MAX_ANCILLARY_BYTES
        if length > limit and kind not in (b"IDAT", b"fdAT"):
            raise PictureError(
                f"{name}: its {_label(kind)} chunk has {length} bytes, over the limit of {limit}", "save it without it"
            )


def prove_whole(data: bytes, name: str) -> None:
    """Raises PictureError unless every chunk up to IEND is there, its checksum right, and no row of pixels is missing.

    Decoders skip the checksums of the pixels, and leave missing rows black.
    """
    view = memoryview(data)
    pixels: list[memoryview] = []
    kind = b""
    for kind, position, length in walk(io.BytesIO(data)):
        end = position + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[position - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise _damaged(name, f"the checksum of its {_label(kind)} chunk is wrong")
        if kind == b"IDAT":
            pixels.append(view[position:end])
    else:
        if kind == b"IEND":
            _prove_rows(pixels, _packed_bytes(data), name)
            return
    raise _damaged(name, "the file is truncated")


def _prove_rows(parts: Iterable[memoryview], needed: int, name: str) -> None:
    """Raises PictureError where the parts, unpacked, are damaged or less than `needed` bytes."""
    unpacker, found = zlib.decompressobj(), 0
    try:
        for part in parts:
            rest: bytes | memoryview = part
            # What is over is left packed: it may be a thousand times as much.
            while found <= needed and (rows := unpacker.decompress(rest, _UNPACKED_AT_ONCE)):
                found += len(rows)
                rest = unpacker.unconsumed_tail
    except zlib.error as error:
        raise _damaged(name, "its pixels are damaged") from error
    if found < needed:
        raise _damaged(name, f"only {found / needed:.0%} of its pixels are there")


def _packed_bytes(data: bytes) -> int:
    """Bytes of all rows and their filters, as the header at the start of a PNG promises (PNG, sections 7.2 and 8.2)."""
    start = len(SIGNATURE) + 8
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[start : start + 13])
    bits = depth * _SAMPLES[colour]
    sizes = (
        (-(-(width - left) // across), -(-(height - top) // down))
        for left, top, across, down in (_ADAM7 if interlaced else _ONE_PASS)
    )
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def _damaged(name: str, what: str) -> PictureError:
    return PictureError(f"{name}: {what}", "get a fresh copy of the file")


def colour_chunks(data: bytes, has_profile: bool) -> tuple[tuple[bytes, bytes], ...]:
    """(kind, body) of cICP, cHRM and gAMA, as a whole PNG has them before its pixels; () where they mean sRGB.

    With a profile cHRM and gAMA mean nothing; cICP stands above it.
    """
    found: dict[bytes, bytes] = {}
    for kind, position, length in walk(io.BytesIO(data)):
        if kind == b"IDAT":
            break
        if kind == b"sRGB" or length == COLOUR_BYTES.get(kind):
            found.setdefault(kind, data[position : position + length])
    if b"cICP" in found:
        kept = () if found[b"cICP"] == _SRGB_CICP else tuple(COLOUR_BYTES)
    else:
        kept = () if has_profile or b"sRGB" in found or _mean_srgb(found) else tuple(COLOUR_BYTES)
    return tuple((kind, found[kind]) for kind in kept if kind in found)


def _mean_srgb(found: dict[bytes, bytes]) -> bool:
    """Whether cHRM and gAMA say what sRGB's are, each as far as it is there."""
    (gamma,) = struct.unpack(">I", found.get(b"gAMA", bytes(4)))
    primaries = struct.unpack(">8I", found[b"cHRM"]) if b"cHRM" in found else _SRGB_CHROMATICITIES
    # A gamma of 0 is none.
    return all(
        abs(value - usual) <= _ROUNDING
        for value, usual in zip((gamma or _SRGB_GAMMA, *primaries), (_SRGB_GAMMA, *_SRGB_CHROMATICITIES), strict=True)
    )


def _label(kind: bytes) -> str:
    return kind.decode("ascii") if kind.isalpha() else kind.hex()


def only_pixels(data: bytes) -> bytes:
    """The same PNG with nothing but its pixels: no animation, no orientation, no colour key, no profile."""
    kept = [
        chunk(kind, data[position : position + length])
        for kind, position, length in walk(io.BytesIO(data))
        if kind in (b"IHDR", b"IDAT", b"IEND")
    ]
    return SIGNATURE + b"".join(kept)
