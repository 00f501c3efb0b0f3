"""How many pictures a file holds, counted without decoding them."""

import struct
from typing import BinaryIO

from PIL import Image

from upscale_cli.errors import PictureError

MAX_FRAMES = 1000


def count_frames(image: Image.Image, stream: BinaryIO, name: str) -> int:
    """Pictures in the file that `image` was opened from.  Raises PictureError over 1,000."""
    position = stream.tell()
    try:
        frames = _counted(image, stream)
    finally:
        stream.seek(position)
    if frames > MAX_FRAMES:
        raise PictureError(f"{name}: holds more than {MAX_FRAMES} frames", "extract the one you want")
    return frames


def _counted(image: Image.Image, stream: BinaryIO) -> int:
    if image.format == "GIF":
        return _count_gif(stream)
    if image.format == "TIFF":
        return _count_tiff(stream)
    return int(getattr(image, "n_frames", 1))


def _count_gif(stream: BinaryIO) -> int:
    """Image blocks, up to one over the limit; a file cut short counts as far as it goes, at least 1."""
    stream.seek(10)
    _skip_palette(stream, stream.read(1))
    stream.seek(2, 1)
    frames = 0
    while frames <= MAX_FRAMES and (kind := stream.read(1)) in (b"!", b","):
        if kind == b",":
            frames += 1
            stream.seek(8, 1)
            _skip_palette(stream, stream.read(1))
        stream.seek(1, 1)
        while length := stream.read(1):
            if length == b"\0":
                break
            stream.seek(length[0], 1)
    return max(frames, 1)


def _count_tiff(stream: BinaryIO) -> int:
    """Directories in the chain, up to one over the limit; a chain cut short, or in a ring, counts as far as it goes."""
    stream.seek(0)
    start = stream.read(16)
    order = "<" if start[:2] == b"II" else ">"
    # BigTIFF has 64-bit counts and offsets.
    count, entry_bytes, offset = ("Q", 20, "Q") if 43 in start[2:4] else ("H", 12, "I")
    count, offset = order + count, order + offset
    (position,) = struct.unpack_from(offset, start, 8 if entry_bytes == 20 else 4)
    seen: set[int] = set()
    while position and position not in seen and len(seen) <= MAX_FRAMES:
        seen.add(position)
        try:
            stream.seek(position)
            (entries,) = struct.unpack(count, stream.read(struct.calcsize(count)))
            stream.seek(entries * entry_bytes, 1)
            (position,) = struct.unpack(offset, stream.read(struct.calcsize(offset)))
        except (struct.error, OSError, OverflowError, ValueError):
            break
    return max(len(seen), 1)


def _skip_palette(stream: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        stream.seek(3 << ((flags[0] & 7) + 1), 1)
