"""RCAN's last part: the same picture step by step, as one convolution, and in tiles."""

import pytest
import torch

from upscale_cli.inference.tiling import plan_tiles
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import Generator
from upscale_cli.methods.rwsr.reconstruction import HALO, Reconstruction, fold, reconstruct

HEIGHT, WIDTH = 11, 14


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(
    params=[(2, "zeros"), (3, "zeros"), (4, "zeros"), (8, "zeros"), (3, "replicate"), (4, "replicate")],
    ids=lambda made: f"x{made[0]}-{made[1]}",
)
def parts(request: pytest.FixtureRequest) -> Reconstruction:
    torch.manual_seed(0)
    scale, padding = request.param
    settings = GeneratorSettings(groups=1, blocks=1, features=16, reduction=4, scale=scale, padding=padding)
    with torch.no_grad():
        return Generator(settings).kernels().reconstruction


def features(height: int, width: int) -> torch.Tensor:
    """As large as they are behind a body that works in [0, 255]."""
    return 50 * torch.randn(1, 16, height, width)


@torch.inference_mode()
@pytest.mark.parametrize("height, width", [(HEIGHT, WIDTH), (4, 4), (5, 4), (3, 9), (1, 1)])
def test_one_convolution_gives_what_the_steps_give(parts, height, width):
    x = features(height, width)
    torch.testing.assert_close(reconstruct(x, fold(parts)), reconstruct(x, parts), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_within_the_picture_nothing_else_is_computed(parts):
    """A convolution that is another one shows, everywhere but near the border."""
    folded = fold(parts)
    assert folded.folded is not None
    other = folded._replace(folded=folded.folded._replace(bias=folded.folded.bias + 1))
    x = features(HEIGHT, WIDTH)
    difference = reconstruct(x, other) - reconstruct(x, folded)
    scale = difference.shape[2] // HEIGHT
    within = slice(HALO * scale, -HALO * scale)
    assert (difference[:, :, within, within] - 1).abs().max() < 1e-3
    assert difference.abs().sum() == pytest.approx(difference[:, :, within, within].sum())


@torch.inference_mode()
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("size", [3, 8, 30])
def test_a_tile_is_a_part_of_the_picture(parts, folded, size):
    parts = fold(parts) if folded else parts
    x = features(HEIGHT, WIDTH)
    whole = reconstruct(x, parts)
    scale = whole.shape[2] // HEIGHT
    assert whole.shape == (1, 3, scale * HEIGHT, scale * WIDTH)
    for tile in plan_tiles(HEIGHT, WIDTH, size, HALO):
        top, bottom, left, right = tile.outer
        part = reconstruct(x[:, :, top:bottom, left:right], parts, tile.frame.edges)
        # on the picture's borders the tile yields its halo too
        sides = zip(tile.frame[:4], tile.frame.edges, strict=True)
        left, right, top, bottom = (scale * side * edge for side, edge in sides)
        part = part[:, :, top : part.shape[2] - bottom, left : part.shape[3] - right]
        top, bottom, left, right = (scale * side for side in tile.inner)
        torch.testing.assert_close(part, whole[:, :, top:bottom, left:right], atol=1e-3, rtol=0)


@torch.inference_mode()
def test_features_in_half_precision_give_the_picture_in_float32(parts):
    x = features(HEIGHT, WIDTH).bfloat16()
    y = reconstruct(x, fold(parts))
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, reconstruct(x.float(), fold(parts)))
