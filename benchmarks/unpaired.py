"""CycleSR's Table 1 in small: what is learnt from photos without partners, beside what the paper compares it with.

python benchmarks/unpaired.py PICTURES TEST -o FOLDER [--steps 8000] [--minutes 9] [--write docs/benchmarks.md]

PICTURES, sharp ones, are halved by name (section "Data"): the first half are the good pictures, of the other half only
degraded copies are used, as photos of low resolution.  Every column is `upscale train` of the same recipe with another
course, the same number of steps of the super-resolution network on what the column learns from; Cycle+SR's CycleGAN has
as many before.  TEST is degraded alike and measured by `upscale evaluate` as the paper does.  Whatever stops it, the
same command goes on from there.
"""

import argparse
import datetime
import json
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from safetensors import safe_open

from commands import upscale
from page import write
from upscale_cli.config.toml_text import to_toml
from upscale_cli.degradation.motion import shift
from upscale_cli.imaging.files import SUFFIXES, read_picture
from upscale_cli.training.recipe import Tables, merged, override_tables
from upscale_cli.training.state import saved_states


class Track(NamedTuple):
    """What the paper takes for a data set: network and lambda_mse ("Implementation details"), and how it is scored."""

    network: str
    mse: float
    protocol: tuple[str, ...]


TRACKS = {
    "ntire17-unknown": Track("vdsr", 1e3, ("--shift-search", "40")),
    "ntire18-mild": Track("srresnet", 1e2, ("--shift-search", "40", "--center-crop", "60")),
    "ntire18-wild": Track("srresnet", 1e2, ("--shift-search", "40", "--center-crop", "60")),
}
"""By the recipe of `upscale degrade` that makes it."""
QUICK: Tables = {
    "halvings": 0,
    "norm": "none",
    "skip": True,
    "skip_high_pass": True,
    "judge_halvings": 1,
    "judge_norm": "none",
    "judge_high_pass": True,
    "lr": 5e-4,
    "judge_lr": 1e-3,
}
"""A CycleGAN that learns a strong blur in hundreds of steps, where the paper's had not in two thousand; ours."""
ADVERSARIAL: Tables = {
    "loss": {"per": 1.0, "gan": 0.05, "features": "discriminator", "grid": 8e3},
    "discriminator": {"kind": "patch"},
}
"""CycleSRGAN's weights ("Training details"); a discriminator and features that need no VGG-19, and `grid`, are ours."""
COLUMNS: dict[str, Tables] = {
    "SR_syn": {"course": "synthetic"},
    "SR_paired": {"course": "paired", "data": {"train": "aligned", "lr": "partners"}},
    "Cycle+SR": {"course": "apart", "data": {"lr": "photos"}},
    "CycleSR": {"course": "joint", "data": {"lr": "photos"}},
    "CycleSRGAN": {"course": "joint", "data": {"lr": "photos"}, **ADVERSARIAL},
}
"""Table 1's, each with what it has otherwise than the others."""


def recipe(track: str, column: str, arguments: argparse.Namespace) -> Tables:
    """The recipe of a column; its paths are relative to the track's folder, where it lies."""
    steps = arguments.steps
    before = {"Cycle+SR": steps, "CycleSR": arguments.pretrain, "CycleSRGAN": arguments.pretrain}.get(column, 0)
    common: Tables = {
        "name": column.lower().replace("_", "-").replace("+", "-"),
        "method": "cyclesr",
        "seed": arguments.seed,
        "max_steps": before + steps,
        "pretrain_steps": before,
        "batch": arguments.batch,
        "patch": 30,  # "Training details": 120 x 120 of the good picture
        "data": {"train": "../good"},
        "generator": {"network": TRACKS[track].network, "features": arguments.features, "blocks": arguments.blocks},
        "translation": {
            "features": arguments.cycle_features,
            "blocks": arguments.cycle_blocks,
            "judge_features": 2 * arguments.cycle_features,
            **QUICK,
        },
        "discriminator": {"features": arguments.features},
        "loss": {"mse": TRACKS[track].mse},
        "optimiser": {"schedule": "linear", "clip_norm": 50.0},
    }
    return merged(merged(common, COLUMNS[column]), override_tables(arguments.overrides))


def halve(pictures: Path, good: Path, others: Path) -> None:
    """Links to the first half of the pictures, by name, in `good`, and to the other half in `others`."""
    files = sorted(path.resolve() for path in pictures.iterdir() if path.suffix.lower() in SUFFIXES)
    for folder, half in ((good, files[: len(files) // 2]), (others, files[len(files) // 2 :])):
        folder.mkdir(parents=True, exist_ok=True)
        for path in half:
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)


def degrade(track: str, folder: Path, test: Path) -> None:
    """Low resolution of everything: of the good pictures for SR_paired alone."""
    for sharp, low in ((folder.parent / "good", "partners"), (folder.parent / "others", "photos"), (test, "test")):
        spoil(track, sharp, folder / low)
    align(folder.parent / "good", folder / "partners", folder / "aligned")


def spoil(track: str, sharp: Path, low: Path) -> None:
    """Low resolution of the pictures in `sharp`."""
    upscale("degrade", f"{sharp}/", "-o", low, "--recipe", track, "--quiet")


def align(good: Path, low: Path, aligned: Path) -> None:
    """The good pictures shifted as their partners in `low` are: "a preprocessing of alignment" ("Baselines")."""
    aligned.mkdir(exist_ok=True)
    for line in (low / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        made = json.loads(line)
        source = good / Path(made["source"]).name
        path = aligned / f"{source.stem}.png"
        if not path.exists():
            Image.fromarray(shift(read_picture(source).pixels, *(made["shift"] or (0, 0))).squeeze()).save(path)


def steps_of(model: Path) -> int:
    """How many steps a checkpoint was trained; 0 where there is none."""
    if not model.exists():
        return 0
    with safe_open(model, "pt") as file:
        return int((file.metadata() or {}).get("steps", 0))


def train(folder: Path, tables: Tables, device: str, seconds: float | None) -> Path:
    """The column's checkpoint, trained to its end; ends the program where the time is not enough for that."""
    name, steps = str(tables["name"]), int(tables["max_steps"])
    path, run = folder / f"{name}.toml", folder / name
    text = to_toml(tables)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{path}: was begun with other settings; choose another folder with -o")
    path.write_text(text, encoding="utf-8")
    model = run / f"{name}.safetensors"
    if steps_of(model) < steps:
        resume = ["--resume"] if saved_states(run) else []
        limit = [] if seconds is None else ["--max-time", f"{max(1.0, seconds):.0f}s"]
        looked_at = ["--save-translations"] if tables["course"] in ("apart", "joint") else []
        upscale("train", path, "-o", run, "--device", device, *resume, *limit, *looked_at)
    if steps_of(model) < steps:
        raise SystemExit(f"{run}: step {steps_of(model)} of {steps}; the same command goes on from there")
    return model


def evaluate(model: Path, test: Path, low: Path, track: str, device: str) -> Mapping[str, Any]:
    """The means, as the last line of `upscale evaluate --json` has them; all lines are kept beside the run."""
    kept = model.parent.with_suffix(".jsonl")
    if not kept.exists():
        how = ("--hr", test, "--lr", low, *TRACKS[track].protocol, "--device", device, "--precision", "fp32", "--json")
        kept.write_text(upscale("evaluate", "--model", model, *how), encoding="utf-8")
    means: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8").splitlines()[-1])
    return means


def row(track: str, measured: Sequence[Mapping[str, Any]]) -> str:
    """A line of the table: bicubic, which is the same beside every model, then the models' own."""
    scores = [measured[0]["bicubic"], *(means["model"] for means in measured)]
    return f"| {track} | " + " | ".join(f"{score['psnr']:.2f} / {score['ssim']:.4f}" for score in scores) + " |"


def parse(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--tracks", nargs="+", choices=TRACKS, default=list(TRACKS)[:2])
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument(
        "--pretrain", type=int, default=1000, help="steps before CycleSR's joint ones; paper: 5,156 of 32"
    )
    parser.add_argument("--batch", type=int, default=8, help='"Training details": 32')
    parser.add_argument(
        "--features", type=int, default=32, help="of super-resolution and its discriminator; papers: 64"
    )
    parser.add_argument("--blocks", type=int, default=10, help="papers: 20 of VDSR, 16 of SRResNet")
    parser.add_argument("--cycle-features", type=int, default=16, help="of the CycleGAN's networks; its paper: 64")
    parser.add_argument("--cycle-blocks", type=int, default=3, help="its paper: 9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="KEY=VALUE in every recipe")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, help="save and stop then")
    parser.add_argument("--write", type=Path, help="the page whose table is replaced")
    return parser.parse_args(typed)


def main() -> None:
    """Trains and measures what is not done yet, then prints the table."""
    arguments = parse()
    end = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    halve(arguments.pictures, arguments.output / "good", arguments.output / "others")
    names = ["bicubic", *arguments.columns]
    lines = [f"| PSNR / SSIM | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for track in arguments.tracks:
        folder = arguments.output / track
        degrade(track, folder, arguments.test)
        measured = []
        for column in arguments.columns:
            left = None if end is None else end - time.monotonic()
            model = train(folder, recipe(track, column, arguments), arguments.device, left)
            measured.append(evaluate(model, arguments.test, folder / "test", track, arguments.device))
        lines.append(row(track, measured))
    typed = shlex.join(["python", "benchmarks/unpaired.py", *sys.argv[1:]])
    text = "\n".join([f"Measured {datetime.date.today()} on {platform.machine()}: `{typed}`.", "", *lines])
    print(text)
    if arguments.write:
        write(arguments.write, "unpaired", text)


if __name__ == "__main__":
    main()
