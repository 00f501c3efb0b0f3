"""RCAN against numbers from its authors' own code.

rwsr_rcan.npz, for the scales x2, x3, x4 and x8: <scale>.state.<tensor>, made-up weights under the official names; input
(1, h, w, 3) uint8 and output (1, 3, H, W).  For x4 also head and block, the features (16, h, w) behind the first
convolution and behind the first block, and attention (1, 16), that block's; large_input, and
ensemble (3, H, W), 256 times the mean over its eight turned copies.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from upscale_cli.inference.device import CPU
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods.rwsr.config import GeneratorSettings
from upscale_cli.methods.rwsr.generator import Generator, attention, head, residual
from upscale_cli.methods.rwsr.network import AttentionNetwork

GOLDEN = np.load(Path(__file__).with_name("rwsr_rcan.npz"))
SMALL = GeneratorSettings(groups=2, blocks=2, features=16, reduction=4)
TINY = {"groups": 1, "blocks": 1, "features": 8, "reduction": 2}


def generator(scale: str, settings: GeneratorSettings) -> Generator:
    """With the golden weights; all but x4's bring no mean shift, so that the default one is at work."""
    network = Generator(settings)
    prefix = f"{scale}.state."
    state = {name.removeprefix(prefix): golden(name) for name in GOLDEN.files if name.startswith(prefix)}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(name.startswith(("sub_mean.", "add_mean.")) for name in missing)
    return network


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def picture(name: str) -> Tensor:
    return golden(name).permute(0, 3, 1, 2).float()


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_output_of_every_scale(scale):
    network = generator(f"x{scale}", GeneratorSettings(scale=scale, **TINY))
    torch.testing.assert_close(network(picture(f"x{scale}.input")), golden(f"x{scale}.output"), atol=1e-3, rtol=0)


@torch.no_grad()
def test_output_of_two_groups():
    network = generator("x4", SMALL)
    torch.testing.assert_close(network(picture("x4.input")), golden("x4.output"), atol=1e-3, rtol=0)


@torch.no_grad()
def test_the_first_steps():
    kernels = generator("x4", SMALL).kernels()
    block = kernels.groups[0].blocks[0]
    shallow = head(picture("x4.input"), kernels)
    torch.testing.assert_close(shallow[0], golden("x4.head"), atol=1e-3, rtol=0)
    deep = residual(shallow, block)
    weights = attention(deep.mean((2, 3)), block)
    torch.testing.assert_close(weights[:, :, 0, 0], golden("x4.attention"), atol=1e-5, rtol=0)
    torch.testing.assert_close((shallow + weights * deep)[0], golden("x4.block"), atol=1e-3, rtol=0)


@torch.inference_mode()
def test_self_ensemble():
    network = AttentionNetwork(generator("x4", SMALL), CPU)
    output = torch.empty(1, 3, 104, 120)

    def sink(box: Box, part: Tensor) -> None:
        output[:, :, box.top : box.bottom, box.left : box.right] = part

    upscale(network, picture("x4.large_input") / 255, sink, Plan(tile=11, self_ensemble=True))
    expected = golden("x4.ensemble").float()[None] / 256
    torch.testing.assert_close(output * 255, expected, atol=0.02, rtol=0)
