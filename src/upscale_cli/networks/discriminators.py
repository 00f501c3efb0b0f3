"""The discriminators of high-resolution pictures that a recipe chooses among."""

from typing import Literal

from pydantic import Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.networks.patch_discriminator import PatchDiscriminator, smallest_judged
from upscale_cli.networks.vgg_discriminator import HALVINGS, VggDiscriminator

Discriminator = VggDiscriminator | PatchDiscriminator


class DiscriminatorSettings(Settings):
    """The discriminator, built where `loss.gan` needs it."""

    kind: Literal["vgg", "patch"] = "vgg"
    """ESRGAN's, which judges a patch as a whole; or, ours, PatchGAN with batch norm, which judges each of its parts."""
    features: int = Field(default=64, ge=1)
    """Feature maps of the first convolutions (either: 64, growing to 512)."""


def require_judgeable(settings: DiscriminatorSettings, patch: int, scale: int) -> None:
    """Raises ValueError where the discriminator can make nothing of patches of `patch` low-resolution pixels a side."""
    side = f"patch = {patch} times scale {scale}"
    if settings.kind == "vgg" and patch * scale % 2**HALVINGS:
        raise ValueError(f"with loss.gan, {side} must be a multiple of {2**HALVINGS}: the discriminator halves it")
    if settings.kind == "patch" and patch * scale < smallest_judged():
        raise ValueError(f"with discriminator.kind = 'patch', {side} must be at least {smallest_judged()} pixels")


def build_discriminator(settings: DiscriminatorSettings, side: int) -> Discriminator:
    """Untrained, for patches of `side` high-resolution pixels a side."""
    if settings.kind == "vgg":
        return VggDiscriminator(settings.features, side)
    return PatchDiscriminator(settings.features, norm="batch")
