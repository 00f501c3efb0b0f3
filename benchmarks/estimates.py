"""How well a picture's noise and JPEG quality are estimated, on small pictures whose faults are known.

python benchmarks/estimates.py FOLDER [--write docs/benchmarks.md]

Each picture is reduced to a quarter and spoiled; mean and standard deviation of the estimates, and how many have a
trace of JPEG.  Quality is that of the pixels alone, without a file's table.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from page import write
from upscale_cli.degradation.noise import add_poisson_noise, add_sensor_noise
from upscale_cli.degradation.operations import Pixels, blur, compress, downsample
from upscale_cli.imaging.files import read_picture
from upscale_cli.imaging.jpeg_estimate import estimate_quality
from upscale_cli.imaging.noise_estimate import estimate_noise
from upscale_cli.services.evaluation_pairs import as_rgb8

SCALE = 4
Fault = Callable[[Pixels, np.random.Generator], Pixels]
"""An original, its sides multiples of SCALE -> the spoiled picture of a quarter of its size."""


def reduced(hr: Pixels, rng: np.random.Generator, *, sigma: float, quality: int | None) -> Pixels:
    """With Gaussian noise of `sigma` levels, and after it JPEG; 0 and None leave them out."""
    picture = downsample(hr, SCALE, "bicubic")
    picture = add_sensor_noise(picture, sigma, rng) if sigma else picture
    return picture if quality is None else compress(picture, quality)


def blurred(hr: Pixels, _: np.random.Generator) -> Pixels:
    """By a Gaussian of 2 pixels before it is reduced."""
    return downsample(blur(hr, 2.0), SCALE, "bicubic")


def counted(hr: Pixels, rng: np.random.Generator) -> Pixels:
    """Poisson noise, 100 quanta for white."""
    return add_poisson_noise(downsample(hr, SCALE, "bicubic"), 100, rng)


def again(hr: Pixels, _: np.random.Generator, *, first: int, second: int) -> Pixels:
    """JPEG twice."""
    return compress(compress(downsample(hr, SCALE, "bicubic"), first), second)


def cut(hr: Pixels, _: np.random.Generator, *, quality: int) -> Pixels:
    """JPEG, then 3 rows and 5 columns less."""
    return compress(downsample(hr, SCALE, "bicubic"), quality)[3:, 5:]


def cases() -> dict[str, Fault]:
    """By name."""
    made: dict[str, Fault] = {}
    for sigma in (0, 2, 4, 8, 15, 25):
        made[f"noise {sigma}" if sigma else "clean"] = partial(reduced, sigma=sigma, quality=None)
    made |= {"blur": blurred, "Poisson, 100 quanta": counted}
    for sigma in (0, 8, 15):
        for quality in (30, 50, 75, 90, 95):
            name = f"noise {sigma}, JPEG {quality}" if sigma else f"JPEG {quality}"
            made[name] = partial(reduced, sigma=sigma, quality=quality)
    made["JPEG 75, cut"] = partial(cut, quality=75)
    for first, second in ((30, 95), (50, 90)):
        made[f"JPEG {first}, then {second}"] = partial(again, first=first, second=second)
    return made


def measured(pictures: list[Pixels], fault: Fault) -> tuple[list[float], list[int | None]]:
    """Noise and quality of each picture, spoiled by `fault`; always the same."""
    rng = np.random.default_rng(1)
    spoiled = [fault(picture, rng) for picture in pictures]
    return [estimate_noise(each) for each in spoiled], [estimate_quality(each) for each in spoiled]


def row(name: str, noise: list[float], qualities: list[int | None]) -> str:
    """A line of the table."""
    found = [quality for quality in qualities if quality is not None]
    jpeg = f"{np.mean(found):.1f} ± {np.std(found):.1f}" if found else ""
    worst = f"{min(noise):.1f} to {max(noise):.1f}"
    return f"| {name} | {np.mean(noise):.1f} ± {np.std(noise):.1f} | {worst} | {jpeg} | {len(found)} of {len(noise)} |"


def originals(folder: Path) -> list[Pixels]:
    """The folder's pictures, their sides cut to multiples of SCALE."""
    found = [
        as_rgb8(read_picture(path).pixels) for path in sorted(folder.iterdir()) if path.suffix in (".png", ".avif")
    ]
    return [each[: each.shape[0] // SCALE * SCALE, : each.shape[1] // SCALE * SCALE] for each in found]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    arguments = parser.parse_args()
    pictures = originals(arguments.folder)
    lines = ["| picture | noise | from, to | JPEG, where found | found |", "|---|---|---|---|---|"]
    started = time.perf_counter()
    for name, fault in cases().items():
        lines.append(row(name, *measured(pictures, fault)))
        print(lines[-1], flush=True)
    each = (time.perf_counter() - started) / len(pictures) / len(cases())
    name = arguments.folder.name
    what = f"{len(pictures)} pictures of {name}, {each:.2f} s for each with its spoiling"
    command = f"python benchmarks/estimates.py {name}"
    table = "\n".join([f"Measured {datetime.now(UTC):%Y-%m-%d} by `{command}`: {what}.", "", *lines])
    if arguments.write:
        write(arguments.write, "estimates", table)


if __name__ == "__main__":
    main()
