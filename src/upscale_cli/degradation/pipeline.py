"""A simple real-world degradation: blur, resize, sensor noise, JPEG - each drawn at random, each sometimes left out."""

from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.operations import (
    Kernel,
    Pixels,
    Subsampling,
    add_sensor_noise,
    blur,
    compress,
    downsample,
)

_Number = TypeVar("_Number", int, float)


def _ascending(bounds: tuple[_Number, _Number]) -> tuple[_Number, _Number]:
    if bounds[0] > bounds[1]:
        raise ValueError("the lower bound comes first")
    return bounds


_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Quality = Annotated[int, Field(ge=1, le=100)]
_Probability = Annotated[float, Field(ge=0, le=1)]


class DegradationSettings(Settings):
    """The ranges that parameters are drawn from, uniformly, and how often each step happens at all."""

    blur_sigma: Annotated[tuple[_Positive, _Positive], AfterValidator(_ascending)] = (0.2, 2.0)
    """Gaussian blur before downsampling, in HR pixels."""
    blur_probability: _Probability = 0.5
    kernels: tuple[Kernel, ...] = Field(default=("box", "bilinear", "bicubic", "bicubic", "lanczos"), min_length=1)
    """Downsampling kernels, each equally likely; one named twice is twice as likely."""
    noise_sigma: Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_ascending)] = (0.0, 15.0)
    """Sensor noise in grey levels."""
    noise_probability: _Probability = 0.7
    jpeg_quality: Annotated[tuple[_Quality, _Quality], AfterValidator(_ascending)] = (30, 95)
    """Both ends included."""
    jpeg_probability: _Probability = 0.6


def degrade(hr: Pixels, scale: int, settings: DegradationSettings, rng: np.random.Generator) -> Pixels:
    """A low-resolution picture of `hr` (H, W, 3) uint8: (H/scale, W/scale, 3), the same for the same `rng` state."""
    picture = hr
    if rng.random() < settings.blur_probability:
        picture = blur(picture, rng.uniform(*settings.blur_sigma))
    picture = downsample(picture, scale, settings.kernels[rng.integers(len(settings.kernels))])
    if rng.random() < settings.noise_probability:
        picture = add_sensor_noise(picture, rng.uniform(*settings.noise_sigma), rng)
    if rng.random() < settings.jpeg_probability:
        low, high = settings.jpeg_quality
        # Most cameras and the web halve the chroma.
        subsampling: Subsampling = "4:2:0" if rng.random() < 0.75 else "4:4:4"
        picture = compress(picture, int(rng.integers(low, high + 1)), subsampling)
    return picture
