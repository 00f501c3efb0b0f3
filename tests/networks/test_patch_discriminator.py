"""PatchGAN's shapes and stages; its numbers are checked beside the other golden ones."""

import pytest
import torch

from upscale_cli.networks.initialisation import he_
from upscale_cli.networks.patch_discriminator import HALVINGS, SLOPE, PatchDiscriminator, smallest_judged

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_stage_is_seen_and_the_logits_are_the_last():
    torch.manual_seed(0)
    network = PatchDiscriminator(features=2).eval()
    x = torch.rand(1, 3, 64, 48)
    stages = list(network.stages(x))
    assert [tuple(stage.shape[1:]) for stage in stages] == [(2, 32, 24), (4, 16, 12), (8, 8, 6), (16, 7, 5), (1, 6, 4)]
    assert torch.equal(stages[-1], network(x))


@pytest.mark.parametrize("halvings, side", [(1, 16), (2, 34), (HALVINGS, 70), (4, 142)])
def test_what_a_logit_sees(halvings, side):
    network = PatchDiscriminator(2, "batch", halvings).eval()
    x = torch.rand(1, 3, 320, 320, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == side


@pytest.mark.parametrize("halvings", [1, HALVINGS])
def test_the_smallest_picture_leaves_a_logit(halvings):
    network = PatchDiscriminator(2, "batch", halvings).eval()
    side = smallest_judged(halvings)
    assert network(torch.rand(2, 3, side, side)).shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        network(torch.rand(2, 3, side - 1, side - 1))


@pytest.mark.parametrize("norm, seen", [("instance", False), ("none", True)])
def test_only_without_norms_contrast_is_seen(norm, seen):
    network = PatchDiscriminator(4, norm).eval()
    he_(network, SLOPE)  # no bias: all but norms is homogeneous
    x = torch.randn(1, 3, 64, 64)
    assert torch.allclose(network(2 * x), network(x), atol=0.05) is not seen
