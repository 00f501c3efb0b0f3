"""Where patches are cut out (released code, after KernelGAN): more often where there is detail."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from upscale_cli.methods.dualsr.imresize import imresize

BORDER = 10
"""Pixels that are left out on each side: borders of a picture are seldom like its inside."""
PERCENTILE = 0.97
_WINDOW = 5
_LUMA = (0.299, 0.587, 0.114)

Map = NDArray[np.float64]


@dataclass(frozen=True)
class Crops:
    """Top and left of patches within the working picture, (samples, 2) each: of the larger y and of the smaller x."""

    hr: NDArray[np.intp]
    lr: NDArray[np.intp]


def working_picture(picture: NDArray[np.floating]) -> NDArray[np.floating]:
    """(H, W, C) without its border, and of even sides."""
    height, width = ((side - 2 * BORDER) // 2 * 2 for side in picture.shape[:2])
    return picture[BORDER : BORDER + height, BORDER : BORDER + width]


def draw_crops(picture: NDArray[np.floating], patch: int, samples: int, seed: int) -> Crops:
    """Places of `samples` patches of `patch` pixels a side, and of as many of half of that.

    picture: as of `working_picture`, no side below `patch`.  The larger patches go by the detail of the halved picture,
    which is what they are judged by once G_DN has halved them.
    """
    random = np.random.RandomState(seed)  # the released code's generator, so that a seed means the same crops
    half = patch // 2
    shape = picture.shape[:2]
    maps = (hr_probabilities(picture, patch), lr_probabilities(picture, half))
    # All larger patches are drawn before the first smaller one.
    places = [random.choice(chances.size, samples, p=chances.ravel()) for chances in maps]
    return Crops(*(_corners(chosen, shape, side) for chosen, side in zip(places, (patch, half), strict=True)))


def hr_probabilities(picture: NDArray[np.floating], patch: int) -> Map:
    """Of each pixel, the chance to be the centre of a patch y, (H, W)."""
    coarse = gradient_map(imresize(picture, 0.5))
    return probabilities(coarse.repeat(2, axis=0).repeat(2, axis=1), patch)


def lr_probabilities(picture: NDArray[np.floating], patch: int) -> Map:
    """Of each pixel, the chance to be the centre of a patch x, (H, W)."""
    return probabilities(gradient_map(picture), patch)


def gradient_map(picture: NDArray[np.floating]) -> Map:
    """Where the picture (H, W, 3) has detail, (H, W), blurred, of mean 1; ones for a flat picture.

    A third each: the steepest few per cent down, the steepest across, and the gradient's length.
    """
    down, across = (_zeroed(slope, _WINDOW) for slope in np.gradient(picture @ np.array(_LUMA)))
    total = np.zeros(picture.shape[:2])
    for part in (_steepest(np.abs(across)), _steepest(np.abs(down)), np.hypot(down, across)):
        total += part / (part.sum() or 1.0)
    blurred = _box_mean(total, _WINDOW)
    return blurred / blurred.mean() if total.any() else np.ones_like(blurred)


def probabilities(gradients: Map, patch: int) -> Map:
    """A map of gradients (H, W) -> how likely each pixel is a centre, of sum 1 and zero where a patch would not fit."""
    # Running sums leave a last bit of what has passed; a chance is not below zero.
    chances: Map = np.maximum(_zeroed(_box_mean(gradients, patch // 2), patch // 2), 0)
    if not chances.any():
        chances = _zeroed(np.ones_like(gradients), patch // 2)
    if not chances.any():  # the picture is just as large as the patch
        chances[:] = 1
    chances /= chances.sum()
    return chances


def _steepest(values: Map) -> Map:
    """How far each value is above all but PERCENTILE of them, cut at the next larger value."""
    ordered = np.sort(values, axis=None)
    pivot = int(PERCENTILE * ordered.size)
    low, high = ordered[pivot], ordered[min(pivot + 1, ordered.size - 1)]
    band: Map = np.clip(values, low, high if high > low else low + 1e-5) - low
    return band


def _zeroed(values: Map, margin: int) -> Map:
    """Zeros in `margin` pixels on each side."""
    result = np.zeros_like(values)
    result[margin:-margin, margin:-margin] = values[margin:-margin, margin:-margin]
    return result


def _box_mean(values: Map, side: int) -> Map:
    """The mean over a square around each pixel; beyond the border are zeros."""
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_CONSTANT), np.float64)


def _corners(centres: NDArray[np.intp], shape: tuple[int, ...], side: int) -> NDArray[np.intp]:
    """Top and left of the patches around flat indices of centres, (samples, 2), kept inside and even."""
    places = np.stack(np.unravel_index(centres, shape), axis=1) - side // 2
    kept: NDArray[np.intp] = np.clip(places, 0, np.array(shape) - side)
    return kept - kept % 2
