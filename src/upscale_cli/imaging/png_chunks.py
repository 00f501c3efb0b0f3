"""The chunks of a PNG file, seen without decoding a pixel."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from upscale_cli.errors import PictureError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = (b"tEXt", b"zTXt", b"iTXt")
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


def refuse_swollen_chunks(stream: BinaryIO, name: str) -> None:
    """Raises PictureError for text over 1 MiB, or anything else beside the pixels over 16 MiB.

    Compressed text is stopped by the decoder at the same size.
    """
    for kind, _, length in walk(stream):
        limit = MAX_TEXT_BYTES if kind in TEXT else MAX_ANCILLARY_BYTES
        if length > limit and kind not in (b"IDAT", b"fdAT"):
            raise PictureError(
                f"{name}: its {_label(kind)} chunk has {length} bytes, over the limit of {limit}", "save it without it"
            )


def prove_whole(data: bytes, name: str) -> None:
    """Raises PictureError unless every chunk up to IEND is there and its checksum right (decoders skip the pixels')."""
    view = memoryview(data)
    kind = b""
    for kind, position, length in walk(io.BytesIO(data)):
        end = position + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[position - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise PictureError(
                f"{name}: the checksum of its {_label(kind)} chunk is wrong", "get a fresh copy of the file"
            )
    else:
        if kind == b"IEND":
            return
    raise PictureError(f"{name}: the file is truncated", "get a fresh copy of the file")


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
