"""The originals that a model is measured on, and the low-resolution pictures that it is given of them."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import compress, downsample
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.degradation.recipes import RECIPES, find_recipe
from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.files import Picture, read_picture
from upscale_cli.imaging.picture import Samples
from upscale_cli.services.degrade_images import generator_for
from upscale_cli.services.inputs import Input, collect_inputs, is_folder

Pixels = NDArray[np.uint8]
Reduce = Callable[[Pixels, int, np.random.Generator], Pixels]
"""Original (H, W, 3), scale and generator -> a low-resolution picture (H/scale, W/scale, 3)."""
_NAMED = 3
"""How many names a message lists."""


def reduction(text: str) -> Reduce:
    """'clean', 'noise:SIGMA' or 'jpeg:QUALITY' after bicubic reduction, or a recipe of `upscale degrade`.

    Raises UsageError for anything else.
    """
    kind, colon, number = text.partition(":")
    try:
        amount = float(number) if colon else math.nan
    except ValueError:
        amount = math.inf
    if kind == "clean" and not colon:
        return lambda hr, scale, _: downsample(hr, scale, "bicubic")
    if kind == "noise" and 0 <= amount <= 255:
        return lambda hr, scale, rng: add_sensor_noise(downsample(hr, scale, "bicubic"), amount, rng)
    if kind == "jpeg" and amount in range(1, 101):
        return lambda hr, scale, _: compress(downsample(hr, scale, "bicubic"), int(amount))
    if text in RECIPES or text.lower().endswith(".toml"):
        settings = find_recipe(text)
        return lambda hr, scale, rng: degrade(hr, scale, settings, rng)
    raise UsageError(
        f"--degrade {text}: is none of clean, noise:SIGMA (0 to 255), jpeg:QUALITY (1 to 100), {', '.join(RECIPES)}",
        "as in noise:8 or jpeg:30, or a recipe's .toml file",
    )


def find_pairs(hr_folder: Path, lr_folder: Path | None) -> list[tuple[Input, Input | None]]:
    """Each original with its low-resolution picture, None where that is to be made.  Raises UsageError."""
    originals = _by_stem("--hr", hr_folder)
    if lr_folder is None:
        return [(hr, None) for hr in originals.values()]
    given = _by_stem("--lr", lr_folder)
    for alone, folder in ((originals.keys() - given, lr_folder), (given.keys() - originals, hr_folder)):
        if alone:
            raise UsageError(
                f"{folder}: no picture for {_listed(alone)}", "--hr and --lr must hold the same names, suffixes apart"
            )
    return [(hr, given[stem]) for stem, hr in originals.items()]


def _by_stem(option: str, folder: Path) -> dict[str, Input]:
    """The folder's pictures by their names without suffix, sorted.  Raises UsageError."""
    if not is_folder(folder):
        raise UsageError(f"{option} {folder}: there is no such folder", "name a folder of pictures")
    try:
        found = collect_inputs([f"{folder}/"], recursive=False)  # with a slash, a folder '-' is not standard input
    except UsageError as error:
        raise UsageError(f"{option} {folder}: no pictures in it", "what lies in its folders does not count") from error
    for item in found:
        if item.fault is not None:
            raise UsageError(f"{option} {item.fault.message}", item.fault.hint)
    twice = {stem for stem, count in Counter(item.stem for item in found).items() if count > 1}
    if twice:
        raise UsageError(f"{option} {folder}: several pictures are called {_listed(twice)}", "keep one of each")
    return {item.stem: item for item in found}


def _listed(names: set[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


def read_pair(hr: Input, lr: Input | None, scale: int, reduce: Reduce, seed: int) -> tuple[Pixels, Picture]:
    """The original (H, W, 3), its sides cut to multiples of `scale`, and what the model is given of it.

    Transparency is left out of both; what is to be said of either are the second's notes.  Raises PictureError for one
    that cannot be read, or whose size is not right.
    """
    assert hr.path is not None
    read = read_picture(hr.path)
    notes = tuple(f"original: {note}" for note in read.notes)
    original = as_rgb8(read.pixels)
    height, width = (side // scale for side in original.shape[:2])
    if not height or not width:
        raise PictureError(f"{hr.name}: smaller than {scale} pixels a side", "take it out")
    original = original[: height * scale, : width * scale]
    if lr is None:
        return original, Picture(reduce(original, scale, generator_for(hr, seed)), notes=notes)
    assert lr.path is not None
    given = read_picture(lr.path)
    small = Picture(given.pixels, notes=given.notes + notes)
    if (small.width, small.height) != (width, height):
        raise PictureError(
            f"{lr.name}: {small.width}x{small.height} pixels, {hr.name} needs {width}x{height} for x{scale}",
            "its sides must be the original's divided by the scale",
        )
    return original, small


def as_rgb8(pixels: Samples) -> Pixels:
    """Samples (H, W, 1 or 3) of 8 or 16 bits -> (H, W, 3) uint8, to the nearest level; grey in all three."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), dtype=np.uint8)
