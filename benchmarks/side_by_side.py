"""What the eye should see: the same part of pictures, by several models, side by side in one PNG.

    python benchmarks/side_by_side.py night.png@180,420 day.png -m "rwsr --no-fuse" -m rwsr -o sheet.png

PICTURE@Y,X takes the part whose upper left corner is there, in the picture's own pixels; without it the middle. The
first column is bicubic. Each -m is what stands behind `upscale run --model`; other options may follow the name.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sheet import Pixels, laid_out


def main() -> None:
    """Makes the sheet and prints its path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE[@Y,X]")
    parser.add_argument("-m", "--model", action="append", required=True, help="a model, and options of upscale run")
    parser.add_argument("--side", type=int, default=64, help="of the part, in the picture's pixels")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    sheet = laid_out([row(*place(picture), given.model, given.side) for picture in given.pictures])
    Image.fromarray(sheet).save(given.output)
    print(given.output)


def place(picture: str) -> tuple[Path, tuple[int, int] | None]:
    """The picture's path, and the corner where one is named."""
    path, at, corner = picture.rpartition("@")
    if not at:
        return Path(picture), None
    top, left = (int(number) for number in corner.split(","))
    return Path(path), (top, left)


def row(path: Path, corner: tuple[int, int] | None, models: list[str], side: int) -> list[Pixels]:
    """Bicubic and every model, from left to right, each (4 side, 4 side, 3)."""
    with Image.open(path) as picture:
        small = ImageOps.exif_transpose(picture).convert("RGB")  # as the models see it
    top, left = corner or ((small.height - side) // 2, (small.width - side) // 2)
    rows, columns = slice(4 * max(top, 0), 4 * (top + side)), slice(4 * max(left, 0), 4 * (left + side))
    large = small.resize((4 * small.width, 4 * small.height), Image.Resampling.BICUBIC)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / f"{number}.png" for number in range(len(models))]
        for model, output in zip(models, outputs, strict=True):
            command = ["run", str(path), "--offline", "-q", "-o", str(output), "--model", *shlex.split(model)]
            subprocess.run([sys.executable, "-m", "upscale_cli", *command], check=True)
        enlarged = [large, *(Image.open(output).convert("RGB") for output in outputs)]
        return [np.asarray(picture)[rows, columns] for picture in enlarged]


if __name__ == "__main__":
    main()
