"""ICC profiles: does one fit the samples, and into sRGB where the samples cannot stay as they are."""

import io

import numpy as np
from PIL import Image, ImageCms

from upscale_cli.imaging.picture import Channels, Samples

_SPACE = {"rgb": "RGB ", "grey": "GRAY"}


def kept_profile(image: Image.Image, channels: Channels) -> tuple[bytes | None, tuple[str, ...]]:
    """The image's profile where it is sound and meant for such samples, else None; with a note where it is dropped."""
    icc = image.info.get("icc_profile")
    if not icc or image.mode in ("CMYK", "LAB"):
        # None, or used up by `to_srgb`.
        return None, ()
    space = _colour_space(icc)
    if space == _SPACE[channels]:
        return icc, ()
    if space is None:
        return None, ("colour profile damaged: dropped",)
    return None, (f"colour profile is for {space.strip()}, the picture is {channels}: dropped",)


def conversion_note(image: Image.Image) -> str:
    """What `to_srgb` will do to a CMYK or LAB image."""
    if image.mode == "LAB":
        return "LAB converted to sRGB"
    if _has_own_profile(image):
        return f"{image.mode} converted to sRGB through its profile"
    without = "its profile, which cannot be used" if image.info.get("icc_profile") else "a profile"
    return f"{image.mode} converted to sRGB without {without}: colours are approximate"


def to_srgb(image: Image.Image) -> Image.Image:
    """A CMYK or LAB image as 8-bit sRGB, through its profile where it has a sound one."""
    if image.mode == "LAB":
        return _convert(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if _has_own_profile(image):
        return _convert(image, _profile(image.info["icc_profile"]))
    return image.convert("RGB")


def _has_own_profile(image: Image.Image) -> bool:
    icc = image.info.get("icc_profile")
    if icc is None or _colour_space(icc) != image.mode:
        return False
    try:
        _convert(Image.new(image.mode, (1, 1)), _profile(icc))
    except (OSError, ImageCms.PyCMSError):  # sound as far as it says what it is for
        return False
    return True


def samples_to_srgb(samples: Samples, icc: bytes) -> Samples | None:
    """Samples (H, W, 1 or 3) meant in the profile `icc`, as sRGB of the same channels; grey stays neutral.

    None for 16 bits, and for a profile that leads nowhere.
    """
    if samples.dtype != np.uint8:
        return None
    channels = samples.shape[2]
    try:
        converted = _convert(Image.fromarray(samples[..., 0] if channels == 1 else samples), _profile(icc))
    except (OSError, ImageCms.PyCMSError):
        return None
    return np.ascontiguousarray(np.asarray(converted)[..., :channels])


def _convert(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return converted


def _profile(icc: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc))


def _colour_space(icc: bytes) -> str | None:
    """The four letters of the space the profile's samples are in; None where the profile cannot be read."""
    try:
        return str(_profile(icc).profile.xcolor_space)
    except (OSError, TypeError, ValueError, ImageCms.PyCMSError):
        return None
