"""What --model auto loses to the best of the models that ship, on small pictures whose faults are known.

python benchmarks/auto.py FOLDER [--models rwsr rwsr-psnr ...] [--write docs/benchmarks.md]

Each picture is reduced to a quarter and spoiled (benchmarks/estimates.py); mean PSNR by `upscale evaluate`.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from commands import upscale
from estimates import Fault, cases, originals
from page import write
from upscale_cli.degradation.operations import Pixels

KINDS = (
    "clean",
    "noise 4",
    "noise 8",
    "noise 15",
    "noise 25",
    "blur",
    "Poisson, 100 quanta",
    "JPEG 30",
    "JPEG 50",
    "JPEG 75",
    "JPEG 90",
    "noise 8, JPEG 30",
    "noise 8, JPEG 75",
    "noise 15, JPEG 50",
    "JPEG 30, then 95",
)
MODELS = ("rwsr", "rwsr-psnr", "rwsr-jpeg", "srrescycgan-generic", "cyclesr")


def spoil(pictures: Sequence[Pixels], fault: Fault, folder: Path) -> None:
    """The pictures with the fault, always the same, as PNG files."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number, picture in enumerate(pictures):
        Image.fromarray(fault(picture, rng)).save(folder / f"{number:03d}.png")


def mean(hr: Path, lr: Path, model: str) -> dict[str, float]:
    """Mean PSNR of the model and of bicubic enlargement."""
    how = ("--precision", "bf16", "--metrics", "psnr", "--json", "--quiet")
    last = json.loads(upscale("evaluate", "--hr", hr, "--lr", lr, "--model", model, *how).splitlines()[-1])
    return {which: last[which]["psnr"] for which in ("model", "bicubic")}


def row(kind: str, hr: Path, lr: Path, models: Sequence[str]) -> str:
    """A line of the table."""
    auto = mean(hr, lr, "auto")
    each = [mean(hr, lr, model)["model"] for model in models]
    figures = [auto["bicubic"], *each, auto["model"]]
    return f"| {kind} | " + " | ".join(f"{figure:.2f}" for figure in figures) + f" | {auto['model'] - max(each):+.2f} |"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    arguments = parser.parse_args()
    pictures, faults = originals(arguments.folder), cases()
    names = ["bicubic", *arguments.models, "auto", "beside the best"]
    lines = [f"| | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    with tempfile.TemporaryDirectory() as temporary:
        hr = Path(temporary) / "hr"
        spoil(pictures, lambda picture, _: picture, hr)
        for kind in KINDS:
            lr = Path(temporary) / kind.replace(" ", "-")
            spoil(pictures, faults[kind], lr)
            lines.append(row(kind, hr, lr, arguments.models))
            print(lines[-1], flush=True)
    name = arguments.folder.name
    what = f"{len(pictures)} pictures of {name}, mean PSNR"
    text = [f"Measured {datetime.now(UTC):%Y-%m-%d} by `python benchmarks/auto.py {name}`: {what}.", "", *lines]
    if arguments.write:
        write(arguments.write, "auto", "\n".join(text))


if __name__ == "__main__":
    main()
