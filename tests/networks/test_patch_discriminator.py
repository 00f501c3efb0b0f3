"""PatchGAN's shapes and stages; its numbers are checked beside the other golden ones."""

import pytest
import torch

from upscale_cli.networks.patch_discriminator import SMALLEST, PatchDiscriminator

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_stage_is_seen_and_the_logits_are_the_last():
    torch.manual_seed(0)
    network = PatchDiscriminator(features=2).eval()
    x = torch.rand(1, 3, 64, 48)
    stages = list(network.stages(x))
    assert [tuple(stage.shape[1:]) for stage in stages] == [(2, 32, 24), (4, 16, 12), (8, 8, 6), (16, 7, 5), (1, 6, 4)]
    assert torch.equal(stages[-1], network(x))


def test_a_logit_sees_seventy_pixels():
    network = PatchDiscriminator(features=2, norm="batch").eval()
    x = torch.rand(1, 3, 160, 160, requires_grad=True)
    network(x)[0, 0, 9, 9].backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_the_smallest_picture_leaves_a_logit():
    network = PatchDiscriminator(features=2, norm="batch").eval()
    assert network(torch.rand(2, 3, SMALLEST, SMALLEST)).shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        network(torch.rand(2, 3, SMALLEST - 8, SMALLEST - 8))
