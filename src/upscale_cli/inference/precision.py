"""Whether a reduced number format may be used on this picture: it is tried on a part of it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from upscale_cli.inference.network import AnyNetwork, StagedNetwork
from upscale_cli.inference.staged import run_whole
from upscale_cli.inference.tiling import Box, plan_tiles

PSNR = 50.0
"""A reduced format must come at least this near to float32, in dB ..."""
MEAN_DIFFERENCE = 0.25
"""... and differ by no more than this many of 255 levels on average."""
PROBE = 48
"""Side of a probed part, in input pixels."""
WORTHWHILE = 8 * PROBE * PROBE
"""Pictures with fewer pixels are quicker done in float32 than probed."""


@torch.inference_mode()
def reduced_is_faithful(exact: AnyNetwork, reduced: AnyNetwork, picture: Tensor) -> bool:
    """Tries both on the middle and on the most detailed part of (1, 3, H, W); True where `reduced` is near enough."""
    if picture.shape[2] * picture.shape[3] < WORTHWHILE:
        return False
    return all(_is_near(_run(exact, part), _run(reduced, part)) for part in _parts(picture))


def _is_near(exact: Tensor, reduced: Tensor) -> bool:
    difference = (exact - reduced).double()
    mean_square = float(difference.square().mean())
    return mean_square <= 10 ** (-PSNR / 10) and float(difference.abs().mean()) * 255 <= MEAN_DIFFERENCE


def _run(network: AnyNetwork, part: Tensor) -> Tensor:
    if isinstance(network, StagedNetwork):
        return run_whole(network, part)
    frame = plan_tiles(part.shape[2], part.shape[3], 0, network.halo)[0].frame
    return network.finish(part, network.partial(part, frame), frame, part.new_ones(1))


def _parts(picture: Tensor) -> Iterator[Tensor]:
    height, width = picture.shape[2:]
    top, left = (max(side - PROBE, 0) // 2 for side in (height, width))
    boxes = [tile.inner for tile in plan_tiles(height, width, PROBE, 0)]
    detailed = max(boxes, key=lambda box: float(_crop(picture, box).var(dim=(2, 3)).sum()))
    yield _crop(picture, Box(top, top + PROBE, left, left + PROBE))
    yield _crop(picture, detailed)


def _crop(picture: Tensor, box: Box) -> Tensor:
    return picture[:, :, box.top : box.bottom, box.left : box.right]
