"""What both networks add their detail to."""

import pytest
import torch
import torch.nn.functional as F

from upscale_cli.methods.cyclesr.generator import upsample


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlargement_is_the_bilinear_one(scale):
    x = torch.rand(2, 3, 5, 7)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample(x, scale), expected)
    one = torch.rand(1, 3, 1, 1)
    assert torch.equal(upsample(one, scale), one.expand(1, 3, scale, scale))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_pixel_is_the_same_to_the_last_bit_wherever_the_picture_begins(scale):
    x = torch.rand(1, 3, 40, 50)
    assert torch.equal(
        upsample(x[:, :, 7:, 11:], scale)[:, :, scale:, scale:], upsample(x, scale)[:, :, 8 * scale :, 12 * scale :]
    )
