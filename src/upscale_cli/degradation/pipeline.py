"""A simple real-world degradation: blur, resize, sensor noise, JPEG - each drawn at random, each sometimes left out."""

import numpy as np
from pydantic import Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.operations import Kernel, Pixels, add_sensor_noise, blur, compress, downsample

Range = tuple[float, float]
Probability = float


class DegradationSettings(Settings):
    """The ranges that parameters are drawn from, uniformly, and how often each step happens at all."""

    blur_sigma: Range = (0.2, 2.0)
    """Gaussian blur before downsampling, in HR pixels."""
    blur_probability: Probability = Field(default=0.5, ge=0, le=1)
    kernels: tuple[Kernel, ...] = ("box", "bilinear", "bicubic", "bicubic", "lanczos")
    """Downsampling kernels, each equally likely; one named twice is twice as likely."""
    noise_sigma: Range = (0.0, 15.0)
    """Sensor noise in grey levels."""
    noise_probability: Probability = Field(default=0.7, ge=0, le=1)
    jpeg_quality: tuple[int, int] = (30, 95)
    jpeg_probability: Probability = Field(default=0.6, ge=0, le=1)


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
        subsampling = "4:2:0" if rng.random() < 0.75 else "4:4:4"  # most cameras and the web halve the chroma
        picture = compress(picture, int(rng.integers(low, high + 1)), subsampling)  # type: ignore[arg-type]
    return picture
