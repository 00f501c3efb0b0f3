"""What was drawn for one picture: each step with its parameters, which a manifest can hold, and how it is done."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from upscale_cli.degradation.motion import motion_kernel
from upscale_cli.degradation.noise import add_poisson_gaussian_noise, add_poisson_noise, add_sensor_noise
from upscale_cli.degradation.operations import (
    Kernel,
    Pixels,
    Subsampling,
    anisotropic_kernel,
    blur,
    compress,
    convolve,
)

BlurKind = Literal["isotropic", "anisotropic", "motion"]
NoiseKind = Literal["gaussian", "poisson", "poisson-gaussian"]


@dataclass(frozen=True)
class IsotropicBlur:
    """A Gaussian of `sigma` HR pixels, its kernel `size` pixels a side."""

    sigma: float
    size: int
    kind: BlurKind = "isotropic"

    def apply(self, picture: Pixels) -> Pixels:
        """The picture (H, W, 3), blurred."""
        return blur(picture, self.sigma, self.size)


@dataclass(frozen=True)
class AnisotropicBlur:
    """The kernel that `operations.anisotropic_kernel` makes of these."""

    variances: tuple[float, float]
    angle: float
    size: int
    noise: float
    seed: int
    kind: BlurKind = "anisotropic"

    def apply(self, picture: Pixels) -> Pixels:
        """The picture (H, W, 3), blurred."""
        return convolve(picture, anisotropic_kernel(self.variances, self.angle, self.size, self.noise, self.seed))


@dataclass(frozen=True)
class MotionBlur:
    """The kernel that `motion.motion_kernel` makes of these."""

    length: float
    angle: float
    bend: float
    kind: BlurKind = "motion"

    def apply(self, picture: Pixels) -> Pixels:
        """The picture (H, W, 3), blurred."""
        return convolve(picture, motion_kernel(self.length, self.angle, self.bend))


@dataclass(frozen=True)
class Noise:
    """sigma: grey levels of the Gaussian part.  peak: quanta of light for white.  None: `kind` has no such part."""

    kind: NoiseKind
    sigma: float | None = None
    peak: float | None = None

    def apply(self, picture: Pixels, rng: np.random.Generator) -> Pixels:
        """The picture (h, w, 3) with noise that `rng` draws."""
        if self.peak is None:
            return add_sensor_noise(picture, self.sigma or 0.0, rng)
        if self.sigma is None:
            return add_poisson_noise(picture, self.peak, rng)
        return add_poisson_gaussian_noise(picture, self.peak, self.sigma, rng)


@dataclass(frozen=True)
class Jpeg:
    """quality: 1 to 100.  subsampling: 4:2:0 has half the chroma both ways."""

    quality: int
    subsampling: Subsampling

    def apply(self, picture: Pixels) -> Pixels:
        """The picture (h, w, 3) after JPEG."""
        return compress(picture, self.quality, self.subsampling)


Blur = IsotropicBlur | AnisotropicBlur | MotionBlur


@dataclass(frozen=True)
class Drawn:
    """The steps in their order; None for one that was left out.  shift: HR pixels (down, across)."""

    blur: Blur | None
    shift: tuple[int, int] | None
    downsampling: Kernel
    noise: Noise | None
    jpeg: Jpeg | None

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)
