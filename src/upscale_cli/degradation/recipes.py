"""Degradations by name: those of the papers, and those that bundled models were trained on."""

import difflib
from pathlib import Path

from upscale_cli.config.toml_file import parse, read_toml
from upscale_cli.degradation.pipeline import DegradationSettings
from upscale_cli.errors import UsageError

RECIPES = {
    "rwsr": DegradationSettings(  # RWSR, section 3.1.1, "Synthetic dataset generation"
        blur_sigma=(0.2, 3.0),  # "Blur kernel": isotropic Gaussian, [0.2, 3]
        blur_size=15,  # "fix the kernel size as 15x15"
        blur_probability=1.0,  # Eq. (1) has it always; its lowest sigma blurs nothing
        kernels=("nearest", "bilinear", "bicubic", "lanczos"),  # "Downsampling", one at random
        noise_kinds=("gaussian", "poisson", "poisson-gaussian"),  # "Noise", one at random
        noise_sigma=(0.0, 25.0),  # Gaussian: [0, 25]
        poisson_peak=(50.0, 150.0),  # Poisson and Poisson-Gaussian: [50, 150]
        poisson_gaussian_sigma=(0.0, 5.0),  # Poisson-Gaussian: [0, 5], alpha 1 in Eq. (2)
        noise_probability=1.0,  # Eq. (1)
        jpeg_probability=0.0,  # not in Eq. (1)
    ),
    "srrescycgan-noise": DegradationSettings(  # SRResCycGAN, Table 1: sensor noise
        blur_probability=0.0,
        kernels=("bicubic",),
        noise_sigma=(8.0, 8.0),  # sigma = 8
        noise_probability=1.0,
        jpeg_probability=0.0,
    ),
    "srrescycgan-jpeg": DegradationSettings(  # SRResCycGAN, Table 1: compression artifacts
        blur_probability=0.0,
        kernels=("bicubic",),
        noise_probability=0.0,
        jpeg_quality=(30, 30),  # quality = 30
        jpeg_halved_chroma=1.0,  # the paper does not say; what JPEG writers do unless told
        jpeg_probability=1.0,
    ),
    "dualsr": DegradationSettings(  # DualSR, section 5.1
        blur_kinds=("anisotropic",),  # "anisotropic Gaussian blur kernel ... different shape and orientation"
        blur_size=11,  # "11 x 11"
        blur_variance=(0.6, 5.0),  # no figure there
        blur_unevenness=0.25,  # "A uniform multiplicative noise is also applied to each kernel", no figure there
        blur_probability=1.0,
        kernels=("nearest",),  # the kernel is the whole of the filter
        noise_probability=0.0,
        jpeg_probability=0.0,
    ),
    "dualsr-start": DegradationSettings(  # configs/dualsr-start.toml: section 5.1's, and pictures as cameras give them
        blur_kinds=("anisotropic",),
        blur_size=13,  # the side of DualSR's kernels
        blur_variance=(0.05, 4.6),  # the downsampling adds its own
        blur_unevenness=0.25,
        blur_probability=0.85,
        kernels=("bicubic", "bicubic", "bilinear", "box"),
        noise_sigma=(0.5, 4.0),
        noise_probability=0.25,
        jpeg_quality=(70, 98),
        jpeg_probability=0.25,
    ),
    # CycleSR, section "Data", of NTIRE 2017 and 2018; neither gives figures, all of them are this project's own
    "ntire17-unknown": DegradationSettings(  # track 2: "unknown x4 downscaling", one and the same
        blur_kinds=("anisotropic",),
        blur_variance=(3.0, 12.0),
        blur_probability=1.0,
        kernels=("nearest",),  # the kernel is the whole of the filter
        noise_probability=0.0,
        jpeg_probability=0.0,
        common_seed=2017,
    ),
    "ntire18-mild": DegradationSettings(  # track 2: "motion blur, Poisson noise and pixel shifting", one and the same
        blur_kinds=("motion",),
        motion_length=(10.0, 10.0),
        blur_probability=1.0,
        shift=8,
        kernels=("bicubic",),
        noise_kinds=("poisson",),
        poisson_peak=(400.0, 400.0),
        noise_probability=1.0,
        jpeg_probability=0.0,
        common_seed=2018,
    ),
    "ntire18-wild": DegradationSettings(  # track 4: "of different levels from image to image"
        blur_kinds=("motion",),
        motion_length=(1.0, 20.0),
        blur_probability=1.0,
        shift=16,
        kernels=("bicubic",),
        noise_kinds=("poisson",),
        poisson_peak=(100.0, 1600.0),
        noise_probability=1.0,
        jpeg_probability=0.0,
    ),
    "generic": DegradationSettings(  # configs/srrescycgan-generic.toml
        blur_sigma=(0.2, 3.0),
        blur_probability=0.5,
        kernels=("nearest", "bilinear", "bicubic", "bicubic", "bicubic", "lanczos"),
        noise_kinds=("gaussian", "gaussian", "poisson", "poisson-gaussian"),
        noise_sigma=(0.0, 25.0),
        noise_probability=0.5,
        jpeg_quality=(25, 95),
        jpeg_probability=0.45,
    ),
}


def find_recipe(name: str) -> DegradationSettings:
    """A recipe's name, or a TOML file: of these settings, or a training recipe with a [degradation] table.

    Raises UsageError for a name that is not known, or a faulty file.
    """
    if name in RECIPES:
        return RECIPES[name]
    path = Path(name)
    if path.suffix.lower() != ".toml":
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(RECIPES)}, or a .toml file"
        raise UsageError(f"--recipe {name}: no such recipe", hint)
    tables = read_toml(path)
    return parse(DegradationSettings, tables.get("degradation", tables), name)
