"""Which discriminator a recipe gets, and for which patches it can be had."""

import pytest
import torch

from upscale_cli.networks.discriminators import DiscriminatorSettings, build_discriminator, require_judgeable
from upscale_cli.networks.patch_discriminator import PatchDiscriminator
from upscale_cli.networks.unet_discriminator import UNetDiscriminator
from upscale_cli.networks.vgg_discriminator import VggDiscriminator


@pytest.mark.parametrize(
    ("kind", "network"), [("vgg", VggDiscriminator), ("patch", PatchDiscriminator), ("unet", UNetDiscriminator)]
)
def test_the_kind_decides_the_network(kind: str, network: type):
    built = build_discriminator(DiscriminatorSettings(kind=kind, features=2), 32)
    assert type(built) is network
    assert built(torch.zeros(2, 3, 32, 32)).shape[:2] == (2, 1)


@pytest.mark.parametrize(
    ("kind", "patch", "scale", "fault"),
    [
        ("vgg", 30, 4, "patch = 30 times scale 4 must be a multiple of 32"),
        ("unet", 30, 2, "patch = 30 times scale 2 must be a multiple of 8"),
        ("patch", 11, 2, "patch = 11 times scale 2 must be at least 24 pixels"),
    ],
)
def test_patches_that_cannot_be_judged_are_refused(kind: str, patch: int, scale: int, fault: str):
    with pytest.raises(ValueError, match=fault):
        require_judgeable(DiscriminatorSettings(kind=kind), patch, scale)


@pytest.mark.parametrize(
    ("kind", "patch", "scale"), [("vgg", 32, 3), ("patch", 30, 4), ("patch", 8, 3), ("unet", 30, 4)]
)
def test_patches_that_can_be_judged_pass(kind: str, patch: int, scale: int):
    require_judgeable(DiscriminatorSettings(kind=kind), patch, scale)
