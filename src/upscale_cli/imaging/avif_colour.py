"""What an AVIF says of its colours beside a profile: primaries and transfer by number (ITU-T H.273), as PNG's cICP."""

import struct

_NEAR_START = 1 << 20
_BOX = b"colrnclx"
# BT.709, or unspecified; its transfer, BT.601's and sRGB's are shown alike.
_SRGB_PRIMARIES, _SRGB_TRANSFERS = (1, 2), (1, 2, 6, 13)


def colour_chunk(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """(b"cICP", its body) of the first colour information box of the whole file `data`; () where it means sRGB.

    The samples are meant to be RGB in full range, which decoding has made them.
    """
    at = data.find(_BOX, 0, _NEAR_START)
    body = data[at + len(_BOX) : at + len(_BOX) + 4]
    if at < 0 or len(body) < 4:
        return ()
    primaries, transfer = struct.unpack(">2H", body)
    if max(primaries, transfer) > 255 or (primaries in _SRGB_PRIMARIES and transfer in _SRGB_TRANSFERS):
        return ()
    return ((b"cICP", bytes([primaries, transfer, 0, 1])),)
