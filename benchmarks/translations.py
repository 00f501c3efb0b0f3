"""What G_s2r makes of bicubic reductions as the second stage weighs more: CycleSR's Figure 3.

The same run three times, `unpaired.py`'s CycleSR with another `loss.mse`: STEPS steps in which each stage learns by
itself, and as many of both jointly.  A photograph's approximated low resolution should look as the camera's would.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import unpaired
from sheet import Pixels
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.degradation.recipes import RECIPES
from upscale_cli.imaging.quality import psnr

TRACK = "ntire17-unknown"
WEIGHTS = ("1e2", "1e3", "1e4")
STEPS = 600
SCALE = 4
APART = "apart"

Looks = Mapping[str, list[Pixels]]
"""Low resolution of the photographs, (h, w, 3): as `bicubic`, then G_s2r's after the steps apart and by weight, and
`true`."""


def looks(photographs: Mapping[str, Pixels], folder: Path) -> Looks:
    """Trains what is not trained yet on the pictures in `folder`/train."""
    seen = folder / "seen"
    seen.mkdir(exist_ok=True)
    names = sorted(photographs)
    for name in names:
        Image.fromarray(photographs[name]).save(seen / f"{name}.png")
    made = {weight: learned(weight, folder, seen.resolve()) for weight in WEIGHTS}
    first = made[WEIGHTS[0]] / f"step-{STEPS:08d}"
    last = {weight: translations / f"step-{2 * STEPS:08d}" for weight, translations in made.items()}
    rng = np.random.default_rng(0)
    return {
        "bicubic": [_side(first, number, 0) for number in range(len(names))],
        APART: [_side(first, number, 1) for number in range(len(names))],
        **{weight: [_side(at, number, 1) for number in range(len(names))] for weight, at in last.items()},
        "true": [np.asarray(degrade(photographs[name], SCALE, RECIPES[TRACK], rng)) for name in names],
    }


def learned(weight: str, folder: Path, seen: Path) -> Path:
    """The folder of the translations of a run with this lambda_mse."""
    length = ["--steps", str(STEPS), "--pretrain", str(STEPS), "--set", f"save_every={STEPS}"]
    learning = ["--set", "optimiser.lr=4e-4", "--set", f"loss.mse={weight}", "--set", f"data.validation={seen}"]
    place = folder / f"mse-{weight}"
    arguments = unpaired.parse([str(folder / "train"), str(seen), "-o", str(place), *length, *learning])
    unpaired.halve(arguments.pictures, place / "good", place / "others")
    unpaired.spoil(TRACK, place / "others", place / TRACK / "photos")
    model = unpaired.train(place / TRACK, unpaired.recipe(TRACK, "CycleSR", arguments), "cpu", None)
    return model.parent / "translations"


def table(shown: Looks) -> str:
    """A Markdown table: how near each is to the true ones, and how much detail it has."""
    lines = ["| low resolution | PSNR | details |", "|---|---|---|"]
    for name, pictures in shown.items():
        pairs = list(zip(pictures, shown["true"], strict=True))
        near = "" if name == "true" else f"{np.mean([psnr(picture, true) for picture, true in pairs]):.2f}"
        lines.append(f"| {name} | {near} | {np.mean([details(picture) for picture in pictures]):.1f} |")
    return "\n".join(lines)


def details(picture: Pixels) -> float:
    """The standard deviation, in grey levels, of what a picture has beyond the mean of 3 x 3 pixels."""
    padded = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    means = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1)).mean((-2, -1))
    return float((picture - means).std())


def _side(translations: Path, number: int, side: int) -> Pixels:
    """Of the three pictures that --save-translations lays side by side: the reduction, G_s2r's, that one evened out."""
    pixels: Pixels = np.asarray(Image.open(translations / f"{number}.png"))
    return np.split(pixels, 3, axis=1)[side]
