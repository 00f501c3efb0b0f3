"""Which discriminator a recipe gets, and for which patches it can be had."""

import pytest
import torch

from upscale_cli.networks.discriminators import (
    DiscriminatorSettings,
    build_discriminator,
    require_judgeable,
    shown_part,
)
from upscale_cli.networks.patch_discriminator import PatchDiscriminator
from upscale_cli.networks.vgg_discriminator import VggDiscriminator


@pytest.mark.parametrize(("kind", "network"), [("vgg", VggDiscriminator), ("patch", PatchDiscriminator)])
def test_the_kind_decides_the_network(kind: str, network: type):
    built = build_discriminator(DiscriminatorSettings(kind=kind, features=2), 32)
    assert type(built) is network
    assert built(torch.zeros(2, 3, 32, 32)).shape[:2] == (2, 1)


@pytest.mark.parametrize(
    ("kind", "patch", "scale", "fault"),
    [
        ("vgg", 30, 4, "patch = 30 times scale 4 must be a multiple of 32"),
        ("patch", 11, 2, "patch = 11 times scale 2 must be at least 24 pixels"),
    ],
)
def test_patches_that_cannot_be_judged_are_refused(kind: str, patch: int, scale: int, fault: str):
    with pytest.raises(ValueError, match=fault):
        require_judgeable(DiscriminatorSettings(kind=kind), patch, scale)


@pytest.mark.parametrize(("kind", "patch", "scale"), [("vgg", 32, 3), ("patch", 30, 4), ("patch", 8, 3)])
def test_patches_that_can_be_judged_pass(kind: str, patch: int, scale: int):
    require_judgeable(DiscriminatorSettings(kind=kind), patch, scale)


@pytest.mark.parametrize(("side", "places"), [(40, 8), (26, 3), (24, 1)])
def test_a_patch_discriminator_stands_on_every_place_of_its_grid(side: int, places: int):
    D = build_discriminator(DiscriminatorSettings(kind="patch", features=2), side)
    at = torch.arange(side).expand(1, 3, side, side)
    rows, columns = at.mT, at
    parts = {
        (int(shown_part(D, rows, step)[0, 0, 0, 0]), int(shown_part(D, columns, step)[0, 0, 0, 0]))
        for step in range(7, 7 + places**2)
    }
    assert parts == {(top, left) for top in range(places) for left in range(places)}
    assert all(shown_part(D, at, step).shape[2:] == (side - places + 1,) * 2 for step in range(places**2))


def test_a_patch_that_is_judged_as_a_whole_is_shown_whole():
    D = build_discriminator(DiscriminatorSettings(kind="vgg", features=2), 32)
    assert shown_part(D, torch.zeros(1, 3, 32, 32), 5).shape == (1, 3, 32, 32)
