"""CycleGAN's initialisation."""

import pytest
import torch
from torch import Tensor

from upscale_cli.networks.initialisation import normal_
from upscale_cli.networks.patch_discriminator import PatchDiscriminator
from upscale_cli.networks.resnet_generator import ResnetGenerator


@pytest.mark.parametrize("network", [ResnetGenerator(8, 1, "batch"), PatchDiscriminator(8, "batch")])
def test_weights_are_drawn_and_biases_are_zero(network):
    torch.manual_seed(0)
    normal_(network)
    parts: dict[str, list[Tensor]] = {"convolution": [], "norm": [], "bias": []}
    for name, tensor in network.state_dict().items():
        if name.endswith(("weight", "bias")):
            parts["bias" if name.endswith("bias") else "convolution" if tensor.ndim == 4 else "norm"].append(tensor)
    drawn = {part: torch.cat([tensor.flatten() for tensor in tensors]) for part, tensors in parts.items()}
    assert not drawn["bias"].any()
    assert drawn["convolution"].mean().item() == pytest.approx(0, abs=1e-3)
    assert drawn["convolution"].std().item() == pytest.approx(0.02, rel=0.05)
    assert drawn["norm"].mean().item() == pytest.approx(1, abs=0.01)
    assert drawn["norm"].std().item() == pytest.approx(0.02, rel=0.3)


def test_two_draws_differ_and_a_seed_repeats_them():
    drawn = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        network = PatchDiscriminator(2)
        normal_(network)
        drawn.append(network.state_dict()["model.2.weight"].clone())
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
