"""Unsharp masking of originals: OpenCV's Gaussian mean, and what must stay as it is."""

import cv2
import numpy as np
import pytest
import torch

from upscale_cli.losses.sharpening import sharpened


@pytest.mark.parametrize(("scale", "sigma", "side"), [(2, 0.75, 7), (3, 1.125, 9), (4, 1.5, 11)])
def test_the_difference_from_the_gaussian_mean_is_added(scale: int, sigma: float, side: int):
    x = np.random.default_rng(0).uniform(100, 150, (2, 40, 31, 3)).astype(np.float32)
    means = [cv2.GaussianBlur(one, (side, side), sigma, borderType=cv2.BORDER_REPLICATE) for one in x]
    expected = x + 0.7 * (x - np.stack(means))
    found = sharpened(torch.from_numpy(x).permute(0, 3, 1, 2), 0.7, scale).permute(0, 2, 3, 1)
    assert np.abs(found.numpy() - expected).max() < 1e-3


def test_plain_colours_stay_and_no_value_leaves_the_range():
    colours = torch.tensor([0.0, 17.0, 255.0])[None, :, None, None].expand(1, 3, 9, 12)
    assert (sharpened(colours, 2.0, 4) - colours).abs().max() < 1e-3
    edge = torch.zeros(1, 3, 16, 16)
    edge[..., 8:] = 255
    assert (sharpened(edge, 1.0, 4) - edge).abs().max() < 1e-3
