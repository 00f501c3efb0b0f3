"""Transparency through an enlargement, without halos."""

from dataclasses import replace

import cv2
import numpy as np

from upscale_cli.imaging.picture import Picture, Samples
from upscale_cli.imaging.resize import BICUBIC, resize


def with_bled_colours(picture: Picture) -> Picture:
    """`picture` with the colours of `bleed_colours`; itself where it has no alpha."""
    if picture.alpha is None:
        return picture
    return replace(picture, pixels=bleed_colours(picture.pixels, picture.alpha))


def bleed_colours(pixels: Samples, alpha: Samples) -> Samples:
    """`pixels` (H, W, C) with the colour of the nearest visible pixel under those of alpha (H, W) 0.

    Whatever stands there (black, mostly) would otherwise be drawn into the edges of what is visible.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels.copy()
    _, nearest = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.empty((int(nearest.max()) + 1, pixels.shape[2]), pixels.dtype)
    colours[nearest[~hidden]] = pixels[~hidden]
    bled = pixels.copy()
    bled[hidden] = colours[nearest[hidden]]
    return bled


def upscale_alpha(alpha: Samples, width: int, height: int) -> Samples:
    """Alpha (H, W) -> (height, width), clamped; a constant stays itself.

    Bicubic: its one overshoot at an edge is clamped away, where the second of Lanczos would show as a faint outline.
    """
    return resize(alpha[..., None], width, height, BICUBIC)[..., 0]
