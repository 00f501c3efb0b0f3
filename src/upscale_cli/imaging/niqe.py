"""NIQE: how natural a picture looks, without an original to compare it with.

Mittal, Soundararajan and Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal Processing Letters
2013.  Statistics of a picture's blocks are compared with those of sharp photographs.  Where the paper is silent this
does as its authors' MATLAB code does, and meets that code's numbers when given that code's photographs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upscale_cli.imaging.colour import luminance

BLOCK = 96
"""Pixels a side of a block at the first of the two scales (section 2.2, P)."""
SHARP = 0.75
"""Share of a photograph's sharpest block that a block must reach to be learned from (section 2.2, T)."""
SHIPPED = Path(__file__).parents[1] / "pretrained" / "niqe.npz"

Floats = NDArray[np.float64]
_WINDOW, _SIGMA = 7, 7 / 6
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_REFLECTED = 8
"""Samples by which a picture is continued before it is halved: the cubic reaches four of them."""


@dataclass(frozen=True)
class Pristine:
    """What sharp photographs are like: mean (36,) and covariance (36, 36) of their blocks' features."""

    mean: Floats
    covariance: Floats


def niqe(pixels: NDArray[np.uint8], pristine: Pristine | None = None) -> float:
    """Eq. (10): how far the picture (H, W, 3) RGB is from sharp photographs; 0 would be one of them, lower is better.

    pristine: what they are like, by default this project's own; values for different ones cannot be compared.
    nan where fewer than two blocks have any detail.  Raises ValueError where the picture has fewer than two blocks.
    """
    features, _ = _blocks(pixels)
    known = features[~np.isnan(features).any(axis=1)]
    if len(known) < 2:
        return math.nan
    pristine = pristine or shipped()
    off = pristine.mean - np.nanmean(features, axis=0)
    spread = (pristine.covariance + np.cov(known, rowvar=False)) / 2
    return float(np.sqrt(off @ np.linalg.pinv(spread) @ off))


def fit(photographs: Iterable[NDArray[np.uint8]]) -> Pristine:
    """What the sharp parts of these pictures (H, W, 3) RGB are like (section 2.4).

    Raises ValueError for a picture of fewer than two blocks.
    """
    chosen = []
    for photograph in photographs:
        features, sharpness = _blocks(photograph)
        chosen.append(features[sharpness > SHARP * sharpness.max()])
    features = np.concatenate(chosen)
    known = features[~np.isnan(features).any(axis=1)]
    return Pristine(np.nanmean(features, axis=0), np.cov(known, rowvar=False))


@cache
def shipped() -> Pristine:
    """This project's own model of sharp photographs (benchmarks/niqe_model.py made it)."""
    with np.load(SHIPPED) as stored:
        return Pristine(stored["mean"], stored["covariance"])


def _blocks(pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """(N, 36) features of the whole blocks, 18 for each scale, and (N,) how sharp each is."""
    rows, columns = (side // BLOCK for side in pixels.shape[:2])
    if rows * columns < 2:
        raise ValueError(
            f"NIQE needs two blocks of {BLOCK} x {BLOCK} pixels, not {pixels.shape[1]} x {pixels.shape[0]}"
        )
    plane = np.rint(luminance(pixels))[: rows * BLOCK, : columns * BLOCK]
    found = []
    for side in (BLOCK, BLOCK // 2):
        contrast, deviation = _normalised(plane)
        found.append(_statistics(_cut(contrast, side)))
        if side == BLOCK:
            sharpness = _cut(deviation, side).mean(axis=(1, 2))
            plane = _halved(plane)
    return np.concatenate(found, axis=1), sharpness


def _normalised(plane: Floats) -> tuple[Floats, Floats]:
    """Eq. (1) to (3): the plane less its local mean, over its local deviation and one; and that deviation."""
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA)
    mean, square = (
        np.asarray(cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE), np.float64)
        for values in (plane, plane**2)
    )
    deviation = np.sqrt(np.abs(square - mean**2))
    return (plane - mean) / (deviation + 1), deviation


def _cut(plane: Floats, side: int) -> Floats:
    """(rows * side, columns * side) -> (rows * columns, side, side)."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return plane.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _halved(plane: Floats) -> Floats:
    """Half the size as MATLAB's imresize: an antialiased cubic on a picture that is reflected at its borders."""
    wide = np.pad(plane, _REFLECTED, mode="symmetric").astype(np.float32)
    half = np.asarray(Image.fromarray(wide).resize((wide.shape[1] // 2, wide.shape[0] // 2), Image.Resampling.BICUBIC))
    inside = slice(_REFLECTED // 2, -_REFLECTED // 2)
    return half[inside, inside].astype(np.float64)


def _statistics(blocks: Floats) -> Floats:
    """(N, side, side) -> (N, 18): shape and width of each block's values, then of its products with four neighbours."""
    shape, left, right = _fitted(blocks)
    features = [shape, (left + right) / 2]
    for neighbour in _NEIGHBOURS:
        shape, left, right = _fitted(blocks * np.roll(blocks, neighbour, axis=(1, 2)))
        mean = (right - left) * _gamma(2 / shape) / _gamma(1 / shape)  # Eq. (8)
        features += [shape, mean, left, right]
    return np.stack(features, axis=1)


def _fitted(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Shape, left and right scale, (N,) each, of the asymmetric generalised Gaussian, Eq. (7), with these moments.

    Lasmar, Stitou and Berthoumieu, "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009.
    """
    flat = values.reshape(len(values), -1)
    squares = flat**2
    with np.errstate(invalid="ignore", divide="ignore"):  # a flat block has no deviation: its features are nan
        left, right = (np.sqrt((squares * side).sum(axis=1) / side.sum(axis=1)) for side in (flat < 0, flat > 0))
        ratio = left / right
        moments = np.abs(flat).mean(axis=1) ** 2 / squares.mean(axis=1)
        wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
        shape = _shape_of(wanted)
        width = np.sqrt(_gamma(1 / shape) / _gamma(3 / shape))
    return shape, left * width, right * width


def _shape_of(moments: Floats) -> Floats:
    """The tabled shape whose ratio of moments is nearest; the smallest, as in the original, where that is nan."""
    shapes, ratios = _table()
    above = np.clip(np.searchsorted(ratios, moments), 1, len(ratios) - 1)
    nearer = above - (moments - ratios[above - 1] <= ratios[above] - moments)
    return shapes[np.where(np.isnan(moments), 0, nearer)]


@cache
def _table() -> tuple[Floats, Floats]:
    """Shapes from 0.2 to 10, and E[|x|]^2 / E[x^2] of a generalised Gaussian of each, which rises with it."""
    shapes = np.arange(0.2, 10.001, 0.001)
    return shapes, _gamma(2 / shapes) ** 2 / (_gamma(1 / shapes) * _gamma(3 / shapes))


def _gamma(values: Floats) -> Floats:
    return np.array([math.gamma(value) for value in values.tolist()])
