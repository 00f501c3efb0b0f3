"""Upscales a photo x4 with the bundled model, offline, and sets it beside a bicubic enlargement.

python examples/demo.py [PHOTO]

PHOTO: a picture of one's own. Without it, a photo that scikit-image carries is made small, noisy and compressed first.
Everything goes to demo/; what an earlier demo left there is written anew. Needs the extra `demo`.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from upscale_cli.degradation.pipeline import DegradationSettings, degrade
from upscale_cli.imaging.files import Picture, read_picture, write_picture
from upscale_cli.imaging.picture import Samples
from upscale_cli.imaging.quality import psnr
from upscale_cli.imaging.resize import BICUBIC, resize

SCALE = 4
FOLDER = Path("demo")
SHOWN = 160
"""Pixels a side, at most, of the part of the input that is shown side by side."""
SEED = 2020
PHONE = DegradationSettings(
    blur_probability=0.0,
    kernels=("bicubic",),
    noise_sigma=(8.0, 8.0),
    noise_probability=1.0,
    jpeg_quality=(70, 70),
    jpeg_probability=1.0,
)
"""Like a small picture from a telephone: sensor noise of 8 grey levels, then JPEG at quality 70."""


def main(arguments: list[str]) -> None:
    """Runs the demo; exits as `upscale run` does where that fails."""
    FOLDER.mkdir(exist_ok=True)
    photo, original = (Path(arguments[0]).expanduser(), None) if arguments else degraded_photo()
    result = upscale(photo)
    print(f"upscaled:     {result}")
    print(f"side by side: {side_by_side(photo, result, original)}  (left bicubic, right upscale)")


def degraded_photo() -> tuple[Path, Samples]:
    """A small, noisy, compressed copy of a photo, as a file, and the photo, uint8 (H, W, 3)."""
    from skimage.data import coffee

    original = coffee()
    path = FOLDER / "coffee.png"
    write_picture(Picture(degrade(original, SCALE, PHONE, np.random.default_rng(SEED))), path, "PNG")
    return path, original


def upscale(photo: Path) -> Path:
    """Runs `upscale run` as one would type it; the picture it wrote."""
    arguments = [str(photo), "-o", f"{FOLDER}/", "--offline", "--overwrite", "--json"]
    print("$", shlex.join(["upscale", "run", *arguments]), flush=True)
    finished = subprocess.run(
        [sys.executable, "-m", "upscale_cli", "run", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if finished.returncode:
        sys.exit(finished.returncode)
    return Path(json.loads(finished.stdout)["output"])


def side_by_side(photo: Path, result: Path, original: Samples | None) -> Path:
    """The middle of both enlargements in one picture.  Says how near each comes to the original, where there is one."""
    small, large = eight_bit(read_picture(photo)), eight_bit(read_picture(result))
    height, width = large.shape[:2]
    bicubic = resize(small, width, height, BICUBIC)
    if original is not None:
        nearness = f"bicubic {psnr(bicubic, original):.2f} dB, upscale {psnr(large, original):.2f} dB"
        print(f"nearness to the original photo (PSNR, higher is nearer): {nearness}")
    shown = np.concatenate([middle(bicubic), middle(large)], axis=1)
    path = FOLDER / f"{photo.stem}_side_by_side.png"
    write_picture(Picture(shown), path, "PNG")
    return path


def eight_bit(picture: Picture) -> Samples:
    """Its colours as uint8 (H, W, 3)."""
    pixels = picture.pixels if picture.bits == 8 else (picture.pixels // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def middle(pixels: Samples) -> Samples:
    """At most SHOWN input pixels a side, enlarged."""
    top, left = (max(0, (side - SHOWN * SCALE) // 2) for side in pixels.shape[:2])
    return pixels[top : top + SHOWN * SCALE, left : left + SHOWN * SCALE]


if __name__ == "__main__":
    main(sys.argv[1:])
