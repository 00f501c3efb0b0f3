"""16-bit colour: Pillow decodes it to 8 bits and proves the file whole; the low bytes are fetched here."""

import re

import cv2
import numpy as np
from numpy.typing import NDArray

# What it cannot read is told in a note; it would tell the terminal as well.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_PPM_HEADER = re.compile(rb"P6" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")


def widen(encoded: bytes, eight: NDArray[np.uint8]) -> NDArray[np.uint16] | None:
    """The 16-bit samples (H, W, 3 or 4) of a PNG or TIFF whose high bytes are `eight`, RGB(A).

    None unless the second decoder agrees with the first on every high byte: some layouts it silently misreads,
    and some it turns upright where the first did not.
    """
    wide = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if wide is None or wide.dtype != np.uint16 or wide.ndim != 3 or wide.shape[:2] != eight.shape[:2]:
        return None
    if wide.shape[2] < eight.shape[2]:
        return None
    cv2.cvtColor(wide, cv2.COLOR_BGR2RGB if wide.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=wide)
    wide = wide[:, :, : eight.shape[2]]
    same = all(np.array_equal(wide[row] >> 8, eight[row]) for row in range(len(eight)))
    return np.ascontiguousarray(wide) if same else None


def read_ppm(data: bytes) -> NDArray[np.uint16] | None:
    """The samples (H, W, 3) of a binary 16-bit PPM, its maximum stretched to 65,535; None where it is another kind."""
    header = _PPM_HEADER.match(data)
    if header is None:
        return None
    width, height, maximum = (int(number) for number in header.groups())
    raw = np.frombuffer(data, ">u2", width * height * 3, header.end()).reshape(height, width, 3)
    if maximum == 65535:
        return raw.astype(np.uint16)
    scaled: NDArray[np.uint16] = np.rint(np.minimum(raw, maximum) * np.float32(65535 / maximum)).astype(np.uint16)
    return scaled
