"""Where each picture goes: names, templates, and every collision found before the first picture is opened."""

import os
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upscale_cli.errors import UsageError
from upscale_cli.imaging.formats import FORMATS, SUFFIXES, format_for
from upscale_cli.services.inputs import Input

STDOUT = "-"
FIELDS = ("stem", "scale", "model", "ext", "folder")


@dataclass(frozen=True)
class Naming:
    """How outputs are named.

    output: -o as given, None for beside the input.  format: a key of FORMATS asked for with -f, None to follow the
    name or else PNG.  suffix: what is put behind the stem, None for "_x<scale>_<model>".
    """

    output: str | None
    format: str | None
    suffix: str | None
    scale: str
    model: str


@dataclass(frozen=True)
class Target:
    """Where one picture goes, and as what.  path: None for standard output."""

    source: Input
    path: Path | None
    format: str


def plan_outputs(inputs: Sequence[Input], naming: Naming) -> list[Target]:
    """One target for each input; outputs of an earlier run found in an input folder are no inputs.

    Raises UsageError where two pictures would go to one file, an output is an input, a folder or a link, or one file is
    to hold several pictures.
    """
    _check_request(inputs, naming)
    targets = [Target(source, *_place(source, naming)) for source in inputs]
    made = {_key(target.path) for target in targets if target.path}
    targets = [t for t in targets if not (t.source.scanned and t.source.path and _key(t.source.path) in made)]
    if naming.output is not None and Path(naming.output).is_dir():
        targets = [target for target in targets if not _lies_in(target.source, Path(naming.output))]
    _check_collisions(targets)
    return targets


def _check_request(inputs: Sequence[Input], naming: Naming) -> None:
    if naming.output == STDOUT and len(inputs) > 1:
        raise UsageError(f"{len(inputs)} pictures cannot all go to standard output", "name a folder with -o")
    if naming.output is not None and len(inputs) > 1 and _names_one_file(naming.output):
        raise UsageError(
            f"-o {naming.output}: {len(inputs)} pictures cannot go into one file",
            f"name a folder ({naming.output}/) or a template like {{stem}}_big.png",
        )


def _place(source: Input, naming: Naming) -> tuple[Path | None, str]:
    output = naming.output
    if output == STDOUT or (output is None and source.path is None):
        return None, naming.format or "PNG"
    if output is not None and "{" in output:
        return _from_template(output, source, naming)
    if output is not None and _names_one_file(output):
        path = Path(output)
        return path, _agreed_format(path, naming)
    folder = (source.path.parent if source.path else Path()) if output is None else Path(output) / source.below
    format_name = naming.format or "PNG"
    suffix = naming.suffix if naming.suffix is not None else f"_x{naming.scale}_{naming.model}"
    return folder / f"{source.stem}{suffix}{FORMATS[format_name].suffix}", format_name


def _from_template(template: str, source: Input, naming: Naming) -> tuple[Path, str]:
    fields = {
        "stem": source.stem,
        "scale": naming.scale,
        "model": naming.model,
        "ext": FORMATS[naming.format or "PNG"].suffix[1:],
        "folder": str(source.below),
    }
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        if not used <= set(FIELDS):
            raise KeyError
        path = Path(template.format(**fields))
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise UsageError(f"-o {template}: is not a template", f"fields: {known}") from error
    return path, _agreed_format(path, naming)


def _agreed_format(path: Path, naming: Naming) -> str:
    """What the name's suffix says, which must not contradict -f."""
    if not path.suffix:
        raise UsageError(f"-o {path}: has no suffix, so its format is unknown", "add .png, .jpg, .webp, .tif ...")
    format_name = format_for(path.suffix)
    if naming.format is not None and naming.format != format_name:
        raise UsageError(
            f"-o {path} is {FORMATS[format_name].name}, -f says {FORMATS[naming.format].name}", "leave one of them out"
        )
    return format_name


def _names_one_file(output: str) -> bool:
    if output.endswith(("/", os.sep)) or Path(output).is_dir() or "{" in output:
        return False
    return Path(output).suffix.lower() in SUFFIXES


def _check_collisions(targets: Sequence[Target]) -> None:
    sources = {_key(target.source.path): target.source for target in targets if target.source.path}
    taken: dict[str, Target] = {}
    for target in targets:
        if target.path is None:
            continue
        key = _key(target.path)
        if key in taken:
            raise UsageError(
                f"{taken[key].source.name} and {target.source.name} would both become {target.path}",
                "name them apart with -o, as in -o '{folder}/{stem}.png', or run them one by one",
            )
        if key in sources:
            raise UsageError(f"{target.path} is an input, and would be written over", "choose another -o or --suffix")
        if target.path.is_symlink() or target.path.is_dir():
            kind = "a link" if target.path.is_symlink() else "a folder"
            raise UsageError(f"{target.path} is {kind}, not a file to write", "choose another -o")
        taken[key] = target


def _key(path: Path) -> str:
    # One file on systems that do not tell cases apart; refused everywhere, so that a script behaves alike.
    return str(path.resolve()).casefold() if not path.is_symlink() else str(path.absolute()).casefold()


def _lies_in(source: Input, folder: Path) -> bool:
    """Whether a scanned picture lies in the output folder, and that below the folder it was found in."""
    if not source.scanned or source.path is None:
        return False
    depth = len(source.below.parts)
    root = source.path.resolve().parents[depth]
    out = folder.resolve()
    return out != root and out.is_relative_to(root) and source.path.resolve().is_relative_to(out)
