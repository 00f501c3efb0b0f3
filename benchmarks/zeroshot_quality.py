"""What `upscale zeroshot` gains over bicubic interpolation, by the degradation of DIV2KRK (DualSR, section 5.1), x2.

python benchmarks/zeroshot_quality.py PICTURES... -o FOLDER [--side 144] [--columns ...] [--seed 0]
    [--write docs/benchmarks.md] [--sheet SHEET.png]

The middle of each picture, SIDE pixels a side at most, is made half as large by a kernel of its own, and enlarged
again: by DualSR as published (`paper`, and `paper bf16` with the gradients in bfloat16), by the program's
default (`quick`), by the same with the kernel given (`true kernel`) and by the network that the default begins with
(`start`). PSNR and SSIM on luminance, 2 pixels of border left out, and how like the estimated kernel is to the true one
(cosine). --seed decides the first weights and the patches, not the crops nor their kernels; each has a FOLDER of its
own. Whatever stops it, the same command goes on from there. --sheet lays the pictures beside bicubic's and the
truth.
"""

import argparse
import datetime
import json
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from commands import upscale
from page import write
from sheet import Pixels, laid_out
from upscale_cli.degradation.operations import anisotropic_kernel
from upscale_cli.imaging.files import read_picture
from upscale_cli.imaging.kernel_files import read_kernel
from upscale_cli.methods.dualsr.config import SCALE
from upscale_cli.methods.dualsr.kernels import prepared
from upscale_cli.services.learning_report import START as MODEL

PAPER, HALF, START, QUICK, KNOWN = COLUMNS = ("paper", "paper bf16", "start", "quick", "true kernel")
BORDER = 2
"""Pixels of the result that are not measured on each side, as `upscale zeroshot` does."""


class Figures(NamedTuple):
    """Of a picture.  scores, bicubic: PSNR and SSIM.  kernel: how like the estimated one is to the true one.

    What is not known or asked for is 0.
    """

    scores: tuple[float, float]
    bicubic: tuple[float, float] = (0.0, 0.0)
    kernel: float = 0.0


def prepare(pictures: list[Path], folder: Path, side: int) -> list[str]:
    """Crops in `hr`, made smaller in `lr`, and the kernels in `kernels`; their names."""
    for place in ("hr", "kernels"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for path in pictures:
        pixels = read_picture(path).pixels
        height, width = (min(side, length) // SCALE * SCALE for length in pixels.shape[:2])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        Image.fromarray(pixels[top : top + height, left : left + width, :3]).save(folder / "hr" / f"{path.stem}.png")
    upscale(
        "degrade", f"{folder / 'hr'}/", "-o", f"{folder / 'lr'}/", "--recipe", "dualsr", "--scale", SCALE, "--quiet"
    )
    names = []
    for line in (folder / "lr" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        made = json.loads(line)
        blur, name = made["blur"], Path(made["output"]).stem
        kernel = anisotropic_kernel(tuple(blur["variances"]), blur["angle"], blur["size"], blur["noise"], blur["seed"])
        np.save(folder / "kernels" / f"{name}.npy", kernel)
        names.append(name)
    return names


def measured(column: str, folder: Path, names: list[str], device: str, seed: int = 0) -> dict[str, Figures]:
    """A column's figures by the pictures' names."""
    if column == START:
        return started(folder, device)
    return {name: learned(column, name, folder, device, seed) for name in names}


def started(folder: Path, device: str) -> dict[str, Figures]:
    """Those of the network that the default begins with, as it is."""
    how = ("--channel", "y", "--crop-border", BORDER, "--device", device, "--precision", "fp32", "--json")
    text = upscale("evaluate", "--model", MODEL, "--hr", folder / "hr", "--lr", folder / "lr", *how)
    records = [json.loads(line) for line in text.splitlines()[:-1]]
    return {
        Path(record["picture"]).stem: Figures((record["model"]["psnr"], record["model"]["ssim"])) for record in records
    }


def learned(column: str, name: str, folder: Path, device: str, seed: int) -> Figures:
    """Those of a network that learned from the picture."""
    place, lr, hr = folder / column.replace(" ", "-"), folder / "lr" / f"{name}.png", folder / "hr" / f"{name}.png"
    kept, true = place / f"{name}.json", folder / "kernels" / f"{name}.npy"
    if not kept.exists():
        place.mkdir(exist_ok=True)
        how: list[object] = ["-o", place / f"{name}.png", "--device", device, "--seed", seed]
        how += ["--overwrite", "--resume", "--json", "--quiet"]
        how += ["--recipe", "paper"] if column in (PAPER, HALF) else []
        how += ["--precision", "bf16"] if column == HALF else []
        how += ["--kernel", true] if column == KNOWN else ["--save-kernel", place / f"{name}.npy"]
        text = upscale("zeroshot", lr, "--reference", hr, *how)
        kept.write_text(text, encoding="utf-8")
    record = json.loads(kept.read_text(encoding="utf-8").splitlines()[-1])["learned"]
    bicubic = record["bicubic_psnr"], record["bicubic_ssim"]
    if column == KNOWN:
        return Figures((record["psnr"], record["ssim"]), bicubic)
    alike = likeness(read_kernel(place / f"{name}.npy")[0], np.load(true))
    return Figures((record["psnr"], record["ssim"]), bicubic, alike)


def likeness(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The cosine between two kernels (K, K)."""
    a, b = (np.pad(kernel, (17 - len(kernel)) // 2) for kernel in (prepared(a), prepared(b)))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def sheet(columns: Iterable[str], folder: Path, names: Iterable[str]) -> Pixels:
    """For the eye: a row for each picture, bicubic, the columns but `start`, and the truth."""
    rows = []
    for name in names:
        truth = np.asarray(Image.open(folder / "hr" / f"{name}.png"))
        size = truth.shape[1], truth.shape[0]
        bicubic = np.asarray(Image.open(folder / "lr" / f"{name}.png").resize(size, Image.Resampling.BICUBIC))
        made = [folder / column.replace(" ", "-") / f"{name}.png" for column in columns if column != START]
        rows.append([bicubic, *(np.asarray(Image.open(path)) for path in made), truth])
    return laid_out(rows)


def table(columns: Mapping[str, Mapping[str, Figures]]) -> str:
    """A Markdown table: a line for each picture, then the means and how much they are above bicubic's."""
    learned_columns = {name: column for name, column in columns.items() if name != START}
    kernels = [name for name in learned_columns if name != KNOWN]
    rows = {
        name: [figures.bicubic, *(column[name].scores for column in columns.values())]
        for name, figures in next(iter(learned_columns.values())).items()
    }
    alike = {name: [columns[column][name].kernel for column in kernels] for name in rows}
    heads = ["PSNR / SSIM", "bicubic", *columns, *(f"kernel, {column}" for column in kernels)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [_line(name, row, alike[name]) for name, row in rows.items()]
    means = np.mean(list(rows.values()), axis=0)
    gains = [f"{psnr:+.2f} / {ssim:+.4f}" for psnr, ssim in means - means[0]]
    lines.append(_line("mean", means, np.mean(list(alike.values()), axis=0)))
    lines.append(f"| above bicubic | {' | '.join(gains)} |" + " |" * len(kernels))
    return "\n".join(lines)


def _line(name: str, scores: Iterable[Any], likenesses: Iterable[Any]) -> str:
    cells = [f"{psnr:.2f} / {ssim:.4f}" for psnr, ssim in scores] + [f"{value:.3f}" for value in likenesses]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--side", type=int, default=144, help="of the crops; 9999 for whole pictures")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="a picture of the pictures side by side")
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    arguments = parser.parse_args()
    names = prepare(arguments.pictures, arguments.output, arguments.side)
    given = arguments.output, names, arguments.device, arguments.seed
    text = table({column: measured(column, *given) for column in arguments.columns})
    typed = shlex.join(["python", "benchmarks/zeroshot_quality.py", *sys.argv[1:]])
    text = f"Measured {datetime.date.today()} on {platform.machine()}: `{typed}`.\n\n{text}"
    print(text)
    if arguments.sheet:
        Image.fromarray(sheet(arguments.columns, arguments.output, names)).save(arguments.sheet)
    if arguments.write:
        write(arguments.write, "zeroshot-quality", text)


if __name__ == "__main__":
    main()
