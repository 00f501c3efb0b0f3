"""Options that several verbs share: the same name, help and meaning everywhere."""

import re
from typing import Annotated

import typer

from upscale_cli.errors import UsageError

_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", re.IGNORECASE)
_TILE = re.compile(r"[0-9]{1,9}")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def complete_models(incomplete: str) -> list[str]:
    """The models' names that begin so, for the shell."""
    from upscale_cli.weights.catalogue import load_catalogue

    return [name for name in load_catalogue().upscalers if name.startswith(incomplete)]


def _complete_with_auto(incomplete: str) -> list[str]:
    return [name for name in ("auto",) if name.startswith(incomplete)] + complete_models(incomplete)


Inputs = Annotated[list[str], typer.Argument(metavar="INPUT", help="Pictures, folders, globs, or - for stdin.")]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        help="A file, a folder, a template like '{stem}_big.png', or - for stdout. Default: beside the input.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "-n",
        "--model",
        metavar="auto|NAME|FILE",
        help="A model's name, a checkpoint file, or auto: the one that suits each picture's noise and JPEG quality. "
        "Default: auto.",
        autocompletion=_complete_with_auto,
    ),
]
SelfEnsemble = Annotated[
    bool, typer.Option("-x", "--self-ensemble", help="Mean over 8 flips and turns: better, 8 times as slow.")
]
Sharpen = Annotated[
    float,
    typer.Option(
        "--sharpen",
        metavar="AMOUNT",
        help="Crisper edges, by unsharp masking of the result; 0.5 to 1 is usual, 0 (the default) is none.",
        show_default=False,
    ),
]
Tile = Annotated[
    str, typer.Option("-t", "--tile", metavar="auto|0|N", help="Tile side in input pixels; the result is the same.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", help="At most so much memory, as in 2G. Default: 60 % of what is free, at most 4G."
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:i]|mps|xpu", help="Where to compute.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="|".join(PRECISIONS),
        help="auto takes a reduced format only where a probe of the picture shows no visible difference.",
    ),
]
Fuse = Annotated[
    bool | None,
    typer.Option(
        "--fuse/--no-fuse",
        help="Fuse dark pictures with the model's second network. Default: where the model has one.",
        rich_help_panel="Fusion",
    ),
]
Format = Annotated[
    str | None, typer.Option("-f", "--format", help="png, jpg, webp, tif, bmp, ppm or avif. Default: png.")
]
Quality = Annotated[int | None, typer.Option("--quality", help="For JPEG, WebP and AVIF; WebP's 100 is lossless.")]
Offline = Annotated[bool, typer.Option("--offline", help="No network: the model must be here.")]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Folders with all that is below.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over existing outputs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Metadata = Annotated[
    bool, typer.Option("--metadata/--no-metadata", help="Keep EXIF and note how the picture was made.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON line per picture on stdout.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Settings and notes of every picture.")]


def checked_precision(precision: str) -> str:
    """The same word.  Raises UsageError where it is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise UsageError(f"--precision {precision}: is none of {', '.join(PRECISIONS)}")
    return precision


def parse_tile(tile: str) -> int | None:
    """Pixels a side, None for auto.  Raises UsageError for anything else."""
    if tile != "auto" and not _TILE.fullmatch(tile):
        raise UsageError(f"--tile {tile}: is neither auto nor a number of pixels")
    return None if tile == "auto" else int(tile)


def parse_seconds(text: str) -> float:
    """ "1h30m", "9m", "90s" or "90" -> seconds.  Raises UsageError."""
    parts = _TIME.fullmatch(text.strip())
    if parts is None or not any(parts.groups()):
        raise UsageError(f"--max-time {text}: is not a time", "for example 9m, 1h30m or 90s")
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds
