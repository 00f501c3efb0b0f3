"""Convolutions in fewer bits."""

import pytest
import torch

from upscale_cli.networks.reduced_precision import PRECISIONS, reduced


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_convolutions_compute_in_it_and_sums_do_not(name: str):
    x, kernel = torch.rand(1, 2, 5, 5), torch.rand(3, 2, 3, 3)
    with reduced(x, PRECISIONS[name]):
        y = torch.conv2d(x, kernel)
        assert y.dtype is PRECISIONS[name]
        assert torch.nn.functional.mse_loss(y, torch.zeros_like(y)).dtype is torch.float32
