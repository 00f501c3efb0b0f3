"""The discriminator of SRGAN and ESRGAN; its numbers are checked where a room has golden ones."""

import pytest
import torch

from upscale_cli.errors import UsageError
from upscale_cli.networks.vgg_discriminator import VggDiscriminator

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_logit_for_each_patch():
    torch.manual_seed(0)
    network = VggDiscriminator(features=2, patch=64).eval()
    logits = network(torch.rand(3, 3, 64, 64))
    assert logits.shape == (3, 1)
    assert len(set(logits.flatten().tolist())) == 3


def test_every_stage_is_seen_and_the_logits_are_the_last():
    network = VggDiscriminator(features=2, patch=64).eval()
    x = torch.rand(2, 3, 64, 64)
    *features, logits = network.stages(x)
    assert [stage.shape[2] for stage in features] == [64, 32, 32, 16, 16, 8, 8, 4, 4, 2]
    assert torch.equal(logits, network(x))


@pytest.mark.parametrize("patch", [0, 48, -32])
def test_a_patch_must_be_halved_five_times(patch: int):
    with pytest.raises(UsageError, match="5 times") as caught:
        VggDiscriminator(features=2, patch=patch)
    assert "multiple of 32" in caught.value.hint
