"""PatchGAN against numbers from its authors' own code.

patch_discriminator.npz, with instance and with batch norm: <norm>.state.<tensor>, made-up weights under the official
names; input (1, h, w, 3) uint8 and output (1, 1, H, W), logits in evaluation mode of the input in [-1, 1].
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from upscale_cli.networks.patch_discriminator import PatchDiscriminator

GOLDEN = np.load(Path(__file__).with_name("patch_discriminator.npz"))


def _golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


@torch.no_grad()
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_logits(norm: Literal["instance", "batch"]):
    network = PatchDiscriminator(4, norm).eval()
    prefix = f"{norm}.state."
    state = {name.removeprefix(prefix): _golden(name) for name in GOLDEN.files if name.startswith(prefix)}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)
    x = _golden(f"{norm}.input").permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(network(x), _golden(f"{norm}.output"), atol=5e-5, rtol=0)
