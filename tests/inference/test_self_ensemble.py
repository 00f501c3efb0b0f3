"""The eight symmetries of the square, and tiles turned together with their picture."""

import pytest
import torch

from upscale_cli.inference.self_ensemble import ALL_EIGHT, IDENTITY, Symmetry
from upscale_cli.inference.tiling import Box, Edges, plan_tiles

PICTURE = torch.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)


def test_all_eight_differ_and_are_flips_and_rotations():
    turned = [symmetry.apply(PICTURE) for symmetry in ALL_EIGHT]
    flat = {tuple(x.flatten().tolist()) + tuple(x.shape) for x in turned}
    rotations = [torch.rot90(x, k, (2, 3)) for k in range(4) for x in (PICTURE, PICTURE.flip(3))]
    assert len(flat) == 8
    assert flat == {tuple(x.flatten().tolist()) + tuple(x.shape) for x in rotations}


def test_the_identity_is_one_of_them():
    [identity] = IDENTITY
    assert identity in ALL_EIGHT
    assert torch.equal(identity.apply(PICTURE), PICTURE)


@pytest.mark.parametrize("symmetry", ALL_EIGHT)
def test_undo_is_the_inverse(symmetry: Symmetry) -> None:
    assert torch.equal(symmetry.undo(symmetry.apply(PICTURE)), PICTURE)
    turned = symmetry.apply(PICTURE)
    assert torch.equal(symmetry.apply(symmetry.undo(turned)), turned)


@pytest.mark.parametrize("symmetry", ALL_EIGHT)
def test_a_box_of_the_turned_picture_is_found_again(symmetry: Symmetry) -> None:
    height, width = 11, 17
    picture = torch.arange(height * width).reshape(1, 1, height, width)
    turned = symmetry.apply(picture)
    for (top, bottom, left, right), *_ in plan_tiles(turned.shape[2], turned.shape[3], 5, 0):
        box = symmetry.undo_box(Box(top, bottom, left, right), height, width)
        found = picture[:, :, box.top : box.bottom, box.left : box.right]
        assert torch.equal(found, symmetry.undo(turned[:, :, top:bottom, left:right]))


@pytest.mark.parametrize("symmetry", ALL_EIGHT)
def test_frame_turns_with_its_tile(symmetry: Symmetry) -> None:
    """The turned frame cuts the turned inner box out of the turned outer one, and names the turned borders."""
    height, width = 41, 50
    picture = torch.arange(height * width).reshape(1, 1, height, width)
    turned_picture = symmetry.apply(picture)[0, 0]
    borders = (turned_picture[:, 0], turned_picture[:, -1], turned_picture[0], turned_picture[-1])
    for tile in plan_tiles(height, width, 13, 4):
        outer = picture[:, :, tile.outer.top : tile.outer.bottom, tile.outer.left : tile.outer.right]
        inner = picture[:, :, tile.inner.top : tile.inner.bottom, tile.inner.left : tile.inner.right]
        left, right, top, bottom, edges = symmetry.apply_to_frame(tile.frame)
        turned = symmetry.apply(outer)
        cut = turned[:, :, top : turned.shape[2] - bottom, left : turned.shape[3] - right]
        assert torch.equal(cut, symmetry.apply(inner))
        assert edges == Edges(*(bool(torch.isin(turned, border).any()) for border in borders))
