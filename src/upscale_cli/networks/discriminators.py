"""The discriminators of high-resolution pictures that a recipe chooses among."""

from typing import Literal

from pydantic import Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.networks.patch_discriminator import PatchDiscriminator, smallest_judged
from upscale_cli.networks.unet_discriminator import HALVINGS as UNET_HALVINGS
from upscale_cli.networks.unet_discriminator import UNetDiscriminator
from upscale_cli.networks.vgg_discriminator import HALVINGS as VGG_HALVINGS
from upscale_cli.networks.vgg_discriminator import VggDiscriminator

Discriminator = VggDiscriminator | PatchDiscriminator | UNetDiscriminator
_HALVINGS = {"vgg": VGG_HALVINGS, "unet": UNET_HALVINGS}


class DiscriminatorSettings(Settings):
    """The discriminator, built where `loss.gan` needs it."""

    kind: Literal["vgg", "patch", "unet"] = "vgg"
    """ESRGAN's, which judges a patch as a whole; or, ours, PatchGAN, which judges each of its parts, or Real-ESRGAN's
    U-Net with spectral norm, which judges each pixel."""
    norm: Literal["batch", "none"] = "batch"
    """PatchGAN's."""
    features: int = Field(default=64, ge=1)
    """Feature maps of the first convolutions (each: 64, growing to 512)."""
    lr: float | None = Field(default=None, gt=0, le=1e30, examples=[1e-3])
    """Its learning rate, ours; by default `optimiser.lr`."""
    r1: float = Field(default=0.0, ge=0)
    """gamma of R1 (Mescheder et al. 2018, Eq. (9)), ours: how much it costs that the judgement of real pictures changes
    with their pixels. Meant for `norm = "none"`; without it a discriminator that wins teaches dots along edges."""


def require_judgeable(settings: DiscriminatorSettings, patch: int, scale: int) -> None:
    """Raises ValueError where the discriminator can make nothing of patches of `patch` low-resolution pixels a side."""
    side = f"patch = {patch} times scale {scale}"
    halvings = _HALVINGS.get(settings.kind, 0)
    if patch * scale % 2**halvings:
        raise ValueError(f"with loss.gan, {side} must be a multiple of {2**halvings}: the discriminator halves it")
    if settings.kind == "patch" and patch * scale < smallest_judged():
        raise ValueError(f"with discriminator.kind = 'patch', {side} must be at least {smallest_judged()} pixels")


def build_discriminator(settings: DiscriminatorSettings, side: int) -> Discriminator:
    """Untrained, for patches of `side` high-resolution pixels a side."""
    if settings.kind == "vgg":
        return VggDiscriminator(settings.features, side)
    if settings.kind == "unet":
        return UNetDiscriminator(settings.features)
    return PatchDiscriminator(settings.features, norm=settings.norm)
