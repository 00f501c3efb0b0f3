"""Draws the pictures of docs/pictures: parts of photographs, made worse and upscaled again, side by side.

python benchmarks/pictures.py run fusion unpaired translations zeroshot -o FOLDER [--to docs/pictures]

The photographs are those that scikit-image carries: astronaut (NASA, public domain), chelsea (Stéfan van der Walt,
CC0), coffee (Rachel Michetti, CC0) and rocket (SpaceX, public domain). FOLDER keeps what is made on the way, and
`zeroshot` and `translations`, which take ten minutes each, go on from there. The latter learns from
photographs that you put into FOLDER/translations/train.
"""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
from PIL import Image

import translations as figure3
import zeroshot_quality
from commands import upscale
from sheet import Pixels, laid_out
from upscale_cli.degradation.pipeline import DegradationSettings, degrade
from upscale_cli.degradation.recipes import RECIPES
from upscale_cli.training.validation import LARGEST

SCALE = 4
SIDE = 224
"""Of the parts shown, in pixels of the photograph."""
SEED = 2020
QUALITY = 92
"""Of the WebP files: what is lost is less than the eye sees, and a page of them stays small."""


CLEAN = DegradationSettings(blur_probability=0, noise_probability=0, jpeg_probability=0, kernels=("bicubic",))
STRONG = CLEAN.model_copy(update={"jpeg_quality": (30, 30), "jpeg_probability": 1})
NOISY = CLEAN.model_copy(update={"noise_sigma": (15, 15), "noise_probability": 1})
PHONE = NOISY.model_copy(update={"noise_sigma": (8, 8), "jpeg_quality": (70, 70), "jpeg_probability": 1})
MILD = RECIPES["ntire18-mild"]


class Part(NamedTuple):
    """A part of a photograph, by its upper left corner, and how the whole is spoiled."""

    photograph: str
    top: int
    left: int
    degradation: DegradationSettings = CLEAN
    light: float = 1.0
    """How much of it reaches the camera: with less than 1 it is night."""

    def original(self) -> Pixels:
        """The whole photograph, (H, W, 3) with sides that SCALE divides."""
        pixels: Pixels = np.asarray(getattr(skimage.data, self.photograph)(), np.uint8)
        height, width = (side // SCALE * SCALE for side in pixels.shape[:2])
        lit: Pixels = np.rint(pixels[:height, :width] * self.light).astype(np.uint8)
        return lit

    def shown(self, pixels: Pixels, side: int = SIDE) -> Pixels:
        """What is shown of a picture of the photograph's size."""
        return pixels[self.top : self.top + side, self.left : self.left + side]


RUN = [
    Part("coffee", 90, 270, PHONE),
    Part("astronaut", 180, 250, STRONG),
    Part("chelsea", 20, 110, NOISY),
]
FUSION = [Part("rocket", 190, 220, PHONE, light=0.5), Part("coffee", 90, 270, PHONE, light=0.3)]
UNPAIRED = [Part("astronaut", 20, 130, MILD), Part("coffee", 90, 270, MILD)]
TRANSLATIONS = {"astronaut": (10, 30), "chelsea": (20, 20), "coffee": (20, 30)}
"""By photograph, the upper left corner of the part shown, in pixels of low resolution."""
TRANSLATIONS_SIDE, ENLARGED = 56, 3
ZEROSHOT = [Part("chelsea", 60, 130), Part("coffee", 100, 350)]
ZEROSHOT_SIDE = 144


def by_models(parts: Sequence[Part], models: Sequence[str], folder: Path) -> list[list[Pixels]]:
    """A row for each part: bicubic, every model (with options of `upscale run`) and the photograph."""
    rows = []
    for number, part in enumerate(parts):
        place = folder / f"{number}-{part.photograph}"
        place.mkdir(parents=True, exist_ok=True)
        truth, low = part.original(), place / "low.png"
        spoiled = Image.fromarray(degrade(truth, SCALE, part.degradation, np.random.default_rng(SEED)))
        spoiled.save(low)
        row = [np.asarray(spoiled.resize((truth.shape[1], truth.shape[0]), Image.Resampling.BICUBIC))]
        for column, model in enumerate(models):
            output = place / f"{column}.png"
            upscale("run", low, "-o", output, "--offline", "--overwrite", "--quiet", "--model", *shlex.split(model))
            row.append(np.asarray(Image.open(output)))
        rows.append([part.shown(pixels) for pixels in [*row, truth]])
    return rows


def run(folder: Path) -> Pixels:
    """Bicubic, the default, the same sharpened, and the photograph."""
    return laid_out(by_models(RUN, ["auto", "auto --sharpen 1"], folder))


def fusion(folder: Path) -> Pixels:
    """Bicubic, RWSR's relativistic network, its standard one, both fused, and the photograph, twice as bright."""
    rows = by_models(FUSION, ["rwsr --no-fuse", "rwsr-standard", "rwsr"], folder)
    return laid_out(
        [[np.minimum(pixels.astype(np.uint16) * 2, 255).astype(np.uint8) for pixels in row] for row in rows]
    )


def unpaired(folder: Path) -> Pixels:
    """Bicubic, CycleSR, CycleSRGAN, the PSNR-oriented RCAN and the photograph."""
    return laid_out(by_models(UNPAIRED, ["cyclesr", "cyclesrgan", "rwsr-psnr"], folder))


def translations(folder: Path) -> Pixels:
    """Of each photograph the bicubic reduction, G_s2r's after the steps apart and by lambda_mse, and the true one."""
    photographs = {name: Part(name, 0, 0).shown(Part(name, 0, 0).original(), LARGEST) for name in TRANSLATIONS}
    shown = figure3.looks(photographs, folder)
    print(figure3.table(shown))
    rows = []
    for number, (top, left) in enumerate(TRANSLATIONS.values()):
        part = np.s_[top : top + TRANSLATIONS_SIDE, left : left + TRANSLATIONS_SIDE]
        rows.append([pictures[number][part].repeat(ENLARGED, 0).repeat(ENLARGED, 1) for pictures in shown.values()])
    return laid_out(rows)


def zeroshot(folder: Path) -> Pixels:
    """Bicubic, DualSR as published, the default and the photograph, x2."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for part in ZEROSHOT:
        paths.append(folder / f"{part.photograph}.png")
        Image.fromarray(part.shown(part.original(), ZEROSHOT_SIDE)).save(paths[-1])
    names = zeroshot_quality.prepare(paths, folder, ZEROSHOT_SIDE)
    columns = (zeroshot_quality.PAPER, zeroshot_quality.QUICK)
    print(zeroshot_quality.table({c: zeroshot_quality.measured(c, folder, names, "cpu") for c in columns}))
    return zeroshot_quality.sheet(columns, folder, names)


SHEETS: dict[str, Callable[[Path], Pixels]] = {
    "run": run,
    "fusion": fusion,
    "unpaired": unpaired,
    "translations": translations,
    "zeroshot": zeroshot,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheets", nargs="+", choices=SHEETS)
    parser.add_argument("-o", "--output", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--to", type=Path, default=Path("docs/pictures"), help="where the sheets go")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name in arguments.sheets:
        path = arguments.to / f"{name}.webp"
        Image.fromarray(SHEETS[name](arguments.output / name)).save(path, quality=QUALITY, method=6)
        print(path)


if __name__ == "__main__":
    main()
