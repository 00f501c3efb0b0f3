"""Samples to tensors and back, exactly, a box at a time."""

import numpy as np
import pytest
import torch
from picture_files import deep_photo, photo

from upscale_cli.errors import PictureError
from upscale_cli.imaging.tensors import from_tensor, to_tensor


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_comes_back(dtype: type, channels: int) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    pixels = np.repeat(levels.reshape(-1, 16, 1), channels, axis=2)
    tensor = to_tensor(pixels)
    assert tensor.shape == (1, 3, len(levels) // 16, 16)
    assert tensor.dtype == torch.float32
    assert (float(tensor.min()), float(tensor.max())) == (0.0, 1.0)
    back = from_tensor(tensor, dtype, "grey" if channels == 1 else "rgb")
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)


def test_a_box_is_a_part_of_the_whole() -> None:
    whole = to_tensor(photo())
    part = to_tensor(photo(), (10, 20, 47, 33))
    assert torch.equal(part, whole[:, :, 20:33, 10:47])
    assert part.is_contiguous()


def test_black_stays_black_whatever_its_depth() -> None:
    dark = np.ones((4, 4, 3), np.uint16)
    assert float(to_tensor(dark).max()) == pytest.approx(1 / 65535)


def test_rounding_and_clamping() -> None:
    values = torch.tensor([-0.5, 0.5 / 255, 1.5 / 255, 2.49 / 255, 2.0]).view(1, 1, 1, 5).repeat(1, 3, 1, 1)
    assert from_tensor(values, np.uint8, "rgb")[0, :, 0].tolist() == [0, 0, 2, 2, 255]


def test_by_way_of_16_bits_to_the_same_8() -> None:
    """Also beside the boundaries between two levels, where float32 rounds the one product up and the other down."""
    random = torch.rand(300_000, generator=torch.Generator().manual_seed(3))
    ties = (torch.arange(255).double() + 0.5).div(255).float()
    beside = torch.stack([ties.view(torch.int32) + step for step in range(-8, 9)]).view(torch.float32).flatten()
    values = torch.cat([random, beside])[None, None, None].expand(1, 3, 1, -1)
    wide = from_tensor(values, np.uint16, "rgb").astype(np.uint32)
    np.testing.assert_array_equal(from_tensor(values, np.uint8, "rgb"), (wide + 128) // 257)


def test_grey_is_the_mean_of_the_three() -> None:
    values = torch.tensor([0.0, 0.3, 0.6]).view(1, 3, 1, 1)
    grey = from_tensor(values, np.uint16, "grey")
    assert grey.shape == (1, 1, 1)
    assert int(grey[0, 0, 0]) == round(0.3 * 65535)


def test_half_precision_is_taken() -> None:
    back = from_tensor(to_tensor(photo()).bfloat16(), np.uint8, "rgb")
    assert np.abs(back.astype(int) - photo()).max() <= 1


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_colour(fault: float) -> None:
    values = torch.zeros(1, 3, 4, 4)
    values[0, 1, 2, 3] = fault
    with pytest.raises(PictureError, match="no numbers"):
        from_tensor(values, np.uint8, "rgb")


def test_the_input_is_left_alone() -> None:
    pixels = deep_photo()
    tensor = to_tensor(pixels)
    tensor.zero_()
    np.testing.assert_array_equal(pixels, deep_photo())
    values = torch.full((1, 3, 2, 2), 0.5)
    from_tensor(values, np.uint8, "rgb")
    assert float(values.min()) == 0.5
