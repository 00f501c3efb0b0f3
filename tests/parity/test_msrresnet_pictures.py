"""SRResNet against numbers from BasicSR's MSRResNet.

msrresnet.npz, for the scales x2, x3 and x4: made-up weights under the official names, of 8 features and two blocks;
input (1, h, w, 3) uint8 and output (1, 3, H, W) of the input in [0, 1].
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import load_golden

from upscale_cli.inference.device import CPU
from upscale_cli.inference.tiling import plan_tiles
from upscale_cli.methods.cyclesr.config import GeneratorSettings
from upscale_cli.methods.cyclesr.network import LocalNetwork
from upscale_cli.methods.cyclesr.srresnet import SRResNet

GOLDEN = np.load(Path(__file__).with_name("msrresnet.npz"))

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_output_of_every_scale(scale):
    network = SRResNet(GeneratorSettings(network="srresnet", scale=scale, features=8, blocks=2))
    load_golden(network, GOLDEN, f"x{scale}")
    x = torch.from_numpy(GOLDEN[f"x{scale}.input"]).permute(0, 3, 1, 2) / 255
    expected = torch.from_numpy(GOLDEN[f"x{scale}.output"])
    torch.testing.assert_close(network(x), expected, atol=2e-5, rtol=0)
    frame = plan_tiles(*x.shape[2:], 0, 0)[0].frame
    torch.testing.assert_close(LocalNetwork(network, CPU).partial(x, frame), expected, atol=2e-5, rtol=0)
