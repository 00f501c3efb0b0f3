"""PatchGAN against numbers from its authors' own code.

patch_discriminator.npz, with instance and with batch norm: <norm>.state.<tensor>, made-up weights under the official
names; input (1, h, w, 3) uint8 and output (1, 1, H, W), logits in evaluation mode of the input in [-1, 1].
patch_discriminator_sizes.npz: the same of a network with four halvings, and of one with 16 features; both with
instance norm.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from golden_weights import load_golden
from numpy.typing import NDArray

from upscale_cli.networks.patch_discriminator import PatchDiscriminator

GOLDEN = np.load(Path(__file__).with_name("patch_discriminator.npz"))
SIZES = np.load(Path(__file__).with_name("patch_discriminator_sizes.npz"))


@torch.no_grad()
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_logits(norm: Literal["instance", "batch"]):
    _assert_logits(PatchDiscriminator(4, norm), GOLDEN, norm)


@torch.no_grad()
@pytest.mark.parametrize("name, network", [
    ("4 layers", PatchDiscriminator(4, halvings=4)),
    ("16 features", PatchDiscriminator(16)),
])  # fmt: skip
def test_logits_of_other_sizes(name: str, network: PatchDiscriminator):
    _assert_logits(network, SIZES, name)


def _assert_logits(network: PatchDiscriminator, golden: Mapping[str, NDArray], name: str) -> None:
    load_golden(network, golden, name)
    x = torch.from_numpy(golden[f"{name}.input"]).permute(0, 3, 1, 2) / 127.5 - 1
    expected = torch.from_numpy(golden[f"{name}.output"])
    torch.testing.assert_close(network.eval()(x), expected, atol=5e-5, rtol=0)
