"""The generic real-world degradation, x = N(D(y * k)) (RWSR, Eq. (1)), with JPEG behind it.

Each step is drawn at random and may be left out: blur k, a shift, downsampling D, noise N, JPEG.
"""

import math
from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

from upscale_cli.config.toml_file import Settings
from upscale_cli.degradation.drawn import (
    AnisotropicBlur,
    Blur,
    BlurKind,
    Drawn,
    IsotropicBlur,
    Jpeg,
    MotionBlur,
    Noise,
    NoiseKind,
)
from upscale_cli.degradation.motion import shift
from upscale_cli.degradation.operations import Kernel, Pixels, Subsampling, downsample, kernel_size

_Number = TypeVar("_Number", int, float)
_Kind = TypeVar("_Kind", bound=str)


def _ascending(bounds: tuple[_Number, _Number]) -> tuple[_Number, _Number]:
    if bounds[0] > bounds[1]:
        raise ValueError("the lower bound comes first")
    return bounds


def _odd(size: int | None) -> int | None:
    if size is not None and size % 2 == 0:
        raise ValueError("a kernel with a middle has an odd side")
    return size


_Width = Annotated[float, Field(gt=0, le=100)]
_Area = Annotated[float, Field(gt=0, le=1e4)]
_Peak = Annotated[float, Field(gt=0, le=1e9)]
_Length = Annotated[float, Field(gt=0, le=200)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Quality = Annotated[int, Field(ge=1, le=100)]
_Probability = Annotated[float, Field(ge=0, le=1)]


class DegradationSettings(Settings):
    """The ranges that parameters are drawn from, uniformly, and how often each step happens at all.

    Of several kinds each is equally likely; one named twice is twice as likely. What is not said to come from a paper
    is this project's own choice.
    """

    blur_kinds: tuple[BlurKind, ...] = Field(default=("isotropic",), min_length=1)
    """Gaussians, as wide one way as the other, or not (DualSR 5.1); or the camera's motion."""
    blur_sigma: Annotated[tuple[_Width, _Width], AfterValidator(_ascending)] = (0.2, 2.0)
    """Isotropic blur before downsampling, in HR pixels."""
    blur_variance: Annotated[tuple[_Area, _Area], AfterValidator(_ascending)] = (0.6, 5.0)
    """Anisotropic blur: along each of its axes, in HR pixels squared. DualSR 5.1 gives none; these keep within its
    11x11 kernel."""
    blur_unevenness: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Anisotropic blur: by how much of itself each weight is off, at most. DualSR 5.1 gives no figure."""
    blur_size: Annotated[int | None, Field(ge=3, le=127, examples=[15]), AfterValidator(_odd)] = None
    """Side of a Gaussian's kernel in HR pixels, odd; left out, it reaches three sigma, and is 15 at least."""
    motion_length: Annotated[tuple[_Length, _Length], AfterValidator(_ascending)] = (2.0, 12.0)
    """Motion blur: length of the path in HR pixels. CycleSR ("Network Architecture") says of NTIRE 2018: up to 40."""
    motion_bend: _NotNegative = 1.0
    """Motion blur: by how much the path's direction turns, either way and at most, in radians; 0: straight lines."""
    blur_probability: _Probability = 0.5
    """How often there is blur at all."""
    shift: int = Field(default=0, ge=0, le=1000)
    """Whole HR pixels by which the picture is moved down or up, and right or left, at most (NTIRE 2018)."""
    kernels: tuple[Kernel, ...] = Field(default=("box", "bilinear", "bicubic", "bicubic", "lanczos"), min_length=1)
    """Downsampling kernels."""
    noise_kinds: tuple[NoiseKind, ...] = Field(default=("gaussian",), min_length=1)
    """Noise of the sensor, of light's quanta, or both (RWSR 3.1.1)."""
    noise_sigma: Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_ascending)] = (0.0, 15.0)
    """Gaussian sensor noise in grey levels."""
    poisson_peak: Annotated[tuple[_Peak, _Peak], AfterValidator(_ascending)] = (50.0, 150.0)
    """Poisson and Poisson-Gaussian noise: quanta of light for white (RWSR 3.1.1: 50 to 150)."""
    poisson_gaussian_sigma: Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_ascending)] = (0.0, 5.0)
    """Poisson-Gaussian noise: its Gaussian part in grey levels (RWSR 3.1.1: 0 to 5)."""
    noise_probability: _Probability = 0.7
    """How often there is noise at all."""
    jpeg_quality: Annotated[tuple[_Quality, _Quality], AfterValidator(_ascending)] = (30, 95)
    """JPEG's quality, 1 to 100, both ends included."""
    jpeg_halved_chroma: _Probability = 0.75
    """How often JPEG is 4:2:0, as most cameras and the web have it, and not 4:4:4."""
    jpeg_probability: _Probability = 0.6
    """How often there is JPEG at all."""
    common_seed: Annotated[int | None, Field(ge=0, examples=[2018])] = None
    """Blur, shift and downsampling are drawn once, by this seed, and are the same for all pictures (NTIRE 2017,
    track 2; NTIRE 2018, tracks 2 and 3); left out, each has its own."""


def degrade(hr: Pixels, scale: int, settings: DegradationSettings, rng: np.random.Generator) -> Pixels:
    """A low-resolution picture of `hr` (H, W, 3) uint8: (H/scale, W/scale, 3), the same for the same `rng` state."""
    return degrade_and_tell(hr, scale, settings, rng)[0]


def degrade_and_tell(
    hr: Pixels, scale: int, settings: DegradationSettings, rng: np.random.Generator
) -> tuple[Pixels, Drawn]:
    """As `degrade`, with what was drawn."""
    # Drawn where it is used, the noise itself in between: models were trained on this order of draws.
    camera = rng if settings.common_seed is None else np.random.default_rng(settings.common_seed)
    blur = _draw_blur(settings, camera) if camera.random() < settings.blur_probability else None
    picture = hr if blur is None else blur.apply(hr)
    moved = _draw_shift(settings.shift, camera) if settings.shift else None
    picture = picture if moved is None else shift(picture, *moved)
    kernel = settings.kernels[int(camera.integers(len(settings.kernels)))]
    picture = downsample(picture, scale, kernel)
    noise = _draw_noise(settings, rng) if rng.random() < settings.noise_probability else None
    picture = picture if noise is None else noise.apply(picture, rng)
    jpeg = _draw_jpeg(settings, rng) if rng.random() < settings.jpeg_probability else None
    picture = picture if jpeg is None else jpeg.apply(picture)
    return picture, Drawn(blur, moved, kernel, noise, jpeg)


def _draw_blur(settings: DegradationSettings, rng: np.random.Generator) -> Blur:
    kind = _draw_kind(settings.blur_kinds, rng)
    if kind == "motion":
        bend = settings.motion_bend
        return MotionBlur(rng.uniform(*settings.motion_length), rng.uniform(0, math.pi), rng.uniform(-bend, bend))
    if kind == "isotropic":
        sigma = rng.uniform(*settings.blur_sigma)
        return IsotropicBlur(sigma, settings.blur_size or kernel_size(sigma))
    variances = (rng.uniform(*settings.blur_variance), rng.uniform(*settings.blur_variance))
    size = settings.blur_size or kernel_size(math.sqrt(max(variances)))
    return AnisotropicBlur(variances, rng.uniform(0, math.pi), size, settings.blur_unevenness, int(rng.integers(2**32)))


def _draw_shift(reach: int, rng: np.random.Generator) -> tuple[int, int]:
    down, across = rng.integers(-reach, reach + 1, size=2)
    return int(down), int(across)


def _draw_noise(settings: DegradationSettings, rng: np.random.Generator) -> Noise:
    kind = _draw_kind(settings.noise_kinds, rng)
    if kind == "gaussian":
        return Noise(kind, sigma=rng.uniform(*settings.noise_sigma))
    peak = rng.uniform(*settings.poisson_peak)
    sigma = rng.uniform(*settings.poisson_gaussian_sigma) if kind == "poisson-gaussian" else None
    return Noise(kind, sigma, peak)


def _draw_jpeg(settings: DegradationSettings, rng: np.random.Generator) -> Jpeg:
    subsampling: Subsampling = "4:2:0" if rng.random() < settings.jpeg_halved_chroma else "4:4:4"
    low, high = settings.jpeg_quality
    return Jpeg(int(rng.integers(low, high + 1)), subsampling)


def _draw_kind(kinds: tuple[_Kind, ...], rng: np.random.Generator) -> _Kind:
    # Among one, numpy draws nothing: recipes older than the choice keep their draws (a test holds it to that).
    return kinds[int(rng.integers(len(kinds)))]
