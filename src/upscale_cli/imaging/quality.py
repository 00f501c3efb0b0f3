"""How near a picture is to the original: PSNR and SSIM, as super-resolution papers report them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from upscale_cli.imaging.colour import luminance
from upscale_cli.imaging.shift_search import squared_errors

Measured = Literal["rgb", "y"]

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW, _SIGMA = 11, 1.5


@dataclass(frozen=True)
class Protocol:
    """How a result is compared with its original.

    channel: all three, or luminance.  crop_border: pixels left out on each side; no shift brings them in.
    shift_search: of all places that are up to so many pixels off, down and across, the result's most favourable one
    counts (0: only its own).  center_crop: side of the square in the middle that alone is compared, None for all.

    shift_search=40 and center_crop=60 are how CycleSR ("Unsupervised Image Super-Resolution with an Indirect Supervised
    Path", Han et al., section "Data") scores NTIRE 2018's pictures, which are shifted. It does not say in which
    directions, so all count here.
    """

    channel: Measured = "rgb"
    crop_border: int = 0
    shift_search: int = 0
    center_crop: int | None = None

    @property
    def margin(self) -> int:
        """Pixels on each side that are not compared while the result is in its own place."""
        return self.crop_border + self.shift_search

    @property
    def words(self) -> str:
        """As a person says it."""
        words = ["luminance" if self.channel == "y" else "RGB", f"border {self.crop_border}"]
        words += [f"center crop {self.center_crop} x {self.center_crop}"] if self.center_crop else []
        words += [f"best shift within {self.shift_search}"] if self.shift_search else []
        return ", ".join(words)


class Match(NamedTuple):
    """What is compared: parts (h, w, 3) of result and original, and how far (down, across) the first was moved."""

    result: NDArray[np.uint8]
    original: NDArray[np.uint8]
    shift: tuple[int, int] = (0, 0)


def match(result: NDArray[np.uint8], original: NDArray[np.uint8], protocol: Protocol) -> Match:
    """The parts of two (H, W, 3) pictures that `protocol` compares.

    The most favourable place is that of the highest PSNR.  Raises ValueError for different shapes, or pictures too
    small for the protocol.
    """
    _check_shapes(result, original)
    top, left, height, width = _window_of(original.shape, protocol)
    reference = original[top : top + height, left : left + width]

    def moved(shift: tuple[int, int]) -> Match:
        down, across = shift
        part = result[top + down : top + down + height, left + across : left + across + width]
        return Match(part, reference, shift)

    own = moved((0, 0))
    reach = protocol.shift_search
    if reach == 0:
        return own
    rows, columns = (slice(a - reach, a + n + reach) for a, n in ((top, height), (left, width)))
    found = moved(_nearest(result[rows, columns], reference, protocol))
    nearness = [psnr(each.result, reference, on=protocol.channel) for each in (own, found)]
    return found if nearness[1] > nearness[0] else own


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8], *, on: Measured = "rgb", border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB of two (H, W, 3) pictures; infinite where they are the same.

    on: all three channels, or luminance in full floating point.  border: pixels left out on each side.
    Raises ValueError for different shapes, or when the border leaves nothing.
    """
    first, second = _prepared(a, b, on, border)
    error = float(np.mean((first - second) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8], *, on: Measured = "rgb", border: int = 0) -> float:
    """Structural similarity (Wang et al. 2004) of two (H, W, 3) pictures: 11 x 11 Gaussian window of sigma 1.5.

    Only windows wholly inside count; the mean over the channels.  Arguments and errors as in `psnr`.
    """
    first, second = _prepared(a, b, on, border)
    if min(first.shape[:2]) < _WINDOW:
        raise ValueError(f"SSIM needs at least {_WINDOW} x {_WINDOW} pixels inside the border, not {first.shape[:2]}")
    mean_a, mean_b = _windowed(first), _windowed(second)
    var_a = _windowed(first**2) - mean_a**2
    var_b = _windowed(second**2) - mean_b**2
    covariance = _windowed(first * second) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float(np.mean(similar / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))))


def _prepared(
    a: NDArray[np.uint8], b: NDArray[np.uint8], on: Measured, border: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _check_shapes(a, b)
    if 2 * border >= min(a.shape[:2]):
        raise ValueError(f"a border of {border} leaves nothing of {a.shape[:2]}")
    inside = slice(border, a.shape[0] - border), slice(border, a.shape[1] - border)
    return _values(a[inside], on), _values(b[inside], on)


def _check_shapes(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
    if a.shape != b.shape:
        raise ValueError(f"pictures of different shapes: {a.shape} and {b.shape}")


def _values(pixels: NDArray[np.uint8], on: Measured) -> NDArray[np.float64]:
    return luminance(pixels) if on == "y" else pixels.astype(np.float64)


def _window_of(shape: tuple[int, ...], protocol: Protocol) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is compared."""
    height, width = (protocol.center_crop or side - 2 * protocol.margin for side in shape[:2])
    top, left = ((side - length) // 2 for side, length in zip(shape[:2], (height, width), strict=True))
    if min(height, width) < _WINDOW or min(top, left) < protocol.margin:
        needed = 2 * protocol.margin + max(protocol.center_crop or 0, _WINDOW)
        raise ValueError(f"{shape[1]}x{shape[0]} pixels, the comparison ({protocol.words}) needs {needed} a side")
    return top, left, height, width


def _nearest(surroundings: NDArray[np.uint8], reference: NDArray[np.uint8], protocol: Protocol) -> tuple[int, int]:
    """The shift (down, across) at which a part of `surroundings` differs least from `reference`."""
    errors = squared_errors(_values(surroundings, protocol.channel), _values(reference, protocol.channel))
    down, across = np.unravel_index(int(errors.argmin()), errors.shape)
    return int(down) - protocol.shift_search, int(across) - protocol.shift_search


def _windowed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gaussian mean of each whole window."""
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA)
    half = _WINDOW // 2
    return np.asarray(cv2.sepFilter2D(values, -1, kernel, kernel), np.float64)[half:-half, half:-half]
