"""Where each picture goes: names, templates, and every collision found before the first picture is opened."""

import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.formats import FORMATS, PICTURE_SUFFIXES, SUFFIXES, format_for
from upscale_cli.services.inputs import Input, entry_of, is_folder
from upscale_cli.services.provenance import is_own_work

STDOUT = "-"
FIELDS = ("stem", "in_ext", "folder", "scale", "model", "ext")
# A name under which nobody expects a folder, and nothing that is written.
FOREIGN_SUFFIXES = PICTURE_SUFFIXES - SUFFIXES.keys() | {".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg", ".pdf"}
MAX_NAME = 255
"""Bytes (letters on Windows) that file systems hold as one name."""


@dataclass(frozen=True)
class Sidecar:
    """A second file beside each picture: which option names it, what it holds, and the suffixes that it may have."""

    option: str
    what: str
    suffixes: tuple[str, ...]

    @property
    def kinds(self) -> str:
        """As in "a PNG or NPY"."""
        return "a " + " or ".join(suffix[1:].upper() for suffix in self.suffixes)


GATE = Sidecar("--save-gate", "gate", (".png",))
KERNEL = Sidecar("--save-kernel", "kernel", (".png", ".npy", ".mat"))


@dataclass(frozen=True)
class Naming:
    """How outputs are named.

    output: -o as given, None for beside the input.  format: a key of FORMATS asked for with -f, None to follow the
    name or else PNG.  suffix: what is put behind the stem, None for "_x<scale>_<model>".  overwrite: whether existing
    outputs will be written anew.  models: every model that an earlier run may have used.  gate: where the second
    file of each picture goes, as given, None for nowhere; sidecar says what that is.  read: what is read beside the
    pictures, and so is not written over either.
    """

    output: str | None
    format: str | None
    suffix: str | None
    scale: str
    model: str
    overwrite: bool = False
    models: frozenset[str] = frozenset()
    gate: str | None = None
    sidecar: Sidecar = GATE
    read: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Target:
    """Where one picture goes, and as what.  path: None for standard output.  fault: why it cannot go there.

    gate: where its second file goes (the decision about fusion, or the kernel), None for nowhere.
    """

    source: Input
    path: Path | None
    format: str
    fault: PictureError | None = None
    gate: Path | None = None

    @property
    def places(self) -> list[Path]:
        """The files that it becomes."""
        return [path for path in (self.path, self.gate) if path is not None]


def plan_outputs(inputs: Sequence[Input], naming: Naming) -> list[Target]:
    """One target for each input but those that are themselves outputs of an earlier run.

    Raises UsageError where two pictures would go to one file, an output is an input, a folder or a link, or one file is
    to hold several pictures.
    """
    _check_request(inputs, naming)
    targets = [_target(source, naming) for source in _without_former_outputs(inputs, naming)]
    made: dict[str, list[Input]] = {}
    for each in targets:
        for path in each.places:
            made.setdefault(_key(path), []).append(each.source)
    targets = [target for target in targets if not _is_output(target.source, made, naming)]
    _check_collisions([target for target in targets if target.fault is None], naming)
    return targets


def _check_request(inputs: Sequence[Input], naming: Naming) -> None:
    output, gate, sidecar = naming.output, naming.gate, naming.sidecar
    usual = f"{{stem}}_{sidecar.what}{sidecar.suffixes[0]}"
    if gate is not None and _may_be_file(gate) and Path(gate).suffix.lower() not in sidecar.suffixes:
        raise UsageError(
            f"{sidecar.option} {gate}: the {sidecar.what} is {sidecar.kinds}",
            f"name a {sidecar.suffixes[0]}, a folder/, or {usual}",
        )
    if gate is not None and _may_be_file(gate) and len(inputs) > 1:
        raise UsageError(
            f"{sidecar.option} {gate}: the {sidecar.what}s of {len(inputs)} pictures cannot go into one file",
            f"name a folder/, or a template like {usual}",
        )
    if output is None:
        return
    if output == STDOUT and len(inputs) > 1:
        raise UsageError(f"{len(inputs)} pictures cannot all go to standard output", "name a folder with -o")
    if _may_be_file(output) and Path(output).suffix.lower() in FOREIGN_SUFFIXES:
        raise UsageError(f"-o {output}: this format is not written", "choose .png, .jpg, .webp, .tif, .bmp or .avif")
    if len(inputs) > 1 and _names_one_file(output):
        raise UsageError(
            f"-o {output}: {len(inputs)} pictures cannot go into one file",
            f"name a folder ({output}/) or a template like {{stem}}_big.png",
        )


def _target(source: Input, naming: Naming) -> Target:
    path, format_name = _place(source, naming)
    target = Target(source, path, format_name, source.fault, _gate(source, naming))
    bytes_in_name = max((len(os.fsencode(place.name)) for place in target.places), default=0)
    if bytes_in_name > MAX_NAME and target.fault is None:
        what = f"{source.name}: its output's name would have {bytes_in_name} bytes, more than {MAX_NAME}"
        return replace(target, fault=PictureError(what, "name it with -o"))
    return target


def _gate(source: Input, naming: Naming) -> Path | None:
    sidecar = naming.sidecar
    if naming.gate is None:
        return None
    if "{" in naming.gate:
        path = _filled(sidecar.option, naming.gate, source, naming)
        if path.suffix.lower() not in sidecar.suffixes:
            raise UsageError(
                f"{sidecar.option} {naming.gate}: the {sidecar.what} is {sidecar.kinds}",
                f"end the template in {sidecar.suffixes[0]}",
            )
        return path
    if _may_be_file(naming.gate):
        return Path(naming.gate)
    return Path(naming.gate) / source.below / f"{source.stem}_{sidecar.what}{sidecar.suffixes[0]}"


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
    path = _filled("-o", template, source, naming)
    return path, _agreed_format(path, naming)


def _filled(option: str, template: str, source: Input, naming: Naming) -> Path:
    """The name that a template means for `source`.  Raises UsageError where it is none."""
    fields = {
        "stem": source.stem,
        "in_ext": source.path.suffix[1:] if source.path else "",
        "folder": str(source.below),
        "scale": naming.scale,
        "model": naming.model,
        "ext": FORMATS[naming.format or "PNG"].suffix[1:],
    }
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        if not used <= set(FIELDS):
            raise KeyError
        return Path(template.format(**fields))
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise UsageError(f"{option} {template}: is not a template", f"fields: {known}") from error


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


def _may_be_file(output: str) -> bool:
    return not (output.endswith(("/", os.sep)) or is_folder(output) or "{" in output)


def _names_one_file(output: str) -> bool:
    return _may_be_file(output) and Path(output).suffix.lower() in SUFFIXES


def _without_former_outputs(inputs: Sequence[Input], naming: Naming) -> list[Input]:
    """Leaves out what an earlier run, perhaps with another scale or model, made of another input.

    In a folder a name like an output's is enough. A picture that was named must prove it: it is asked for.
    """
    if not naming.model:  # of a command whose outputs are called as its inputs are
        return list(inputs)
    stems = {source.stem for source in inputs}
    models = "|".join(map(re.escape, sorted(naming.models | {naming.model})))
    own_name = re.compile(rf"(.+)_x[0-9.]+[wh]?_(?:{models})", re.DOTALL)

    def is_former(source: Input) -> bool:
        name = own_name.fullmatch(source.stem)
        if name is None or name[1] not in stems:
            return False
        return source.scanned or (source.path is not None and is_own_work(source.path))

    return [source for source in inputs if not is_former(source)]


def _is_output(source: Input, made: Mapping[str, Sequence[Input]], naming: Naming) -> bool:
    """Whether a picture found in a folder is this command's own output, of another one.

    What will be written over, or would itself become what another does, must prove to be one: it may be the user's own
    picture, of an unlucky name.
    """
    if not source.scanned or source.path is None:
        return False
    makers = made.get(_key(source.path), [])
    if any(maker is not source for maker in makers):
        doubtful = naming.overwrite or any(maker is source for maker in makers)
        if not doubtful or is_own_work(source.path):
            return True
    return naming.output is not None and _lies_in(source.path, source.below, naming.output)


def _lies_in(path: Path, below: Path, output: str) -> bool:
    """Whether a picture lies in the output folder, and that below the folder the picture was found in."""
    folder = Path(output.partition("{")[0].rpartition("/")[0] if "{" in output else output)
    if folder == Path() or not is_folder(folder):
        return False
    entry, real = entry_of(path), Path(os.path.realpath(folder))
    root = entry.parents[len(below.parts)]
    return real != root and real.is_relative_to(root) and entry.is_relative_to(real)


def _check_collisions(targets: Sequence[Target], naming: Naming) -> None:
    sources = [*naming.read, *(target.source.path for target in targets if target.source.path)]
    inputs = {key for path in sources for key in (_key(path), _folded(os.path.realpath(path)))}
    taken: dict[str, Target] = {}
    for target, path in [(each, place) for each in targets for place in each.places]:
        key, option = _key(path), "-o or --suffix" if path == target.path else naming.sidecar.option
        if key in taken and taken[key] is target:
            raise UsageError(
                f"{path} would be both a picture and its {naming.sidecar.what}",
                f"choose another {naming.sidecar.option}",
            )
        if key in taken:
            former = taken[key].source
            alike = former.path and target.source.path and _folded(former.path.name) == _folded(target.source.path.name)
            raise UsageError(
                f"{former.name} and {target.source.name} would both become {path}",
                ("rename one" if alike else "name them apart, as with -o '{stem}_{in_ext}.png'")
                + ", or run them one by one",
            )
        if key in inputs:
            raise UsageError(f"{path} is an input, and would be written over", f"choose another {option}")
        _check_place(path, option)
        taken[key] = target


def _check_place(path: Path, option: str) -> None:
    if is_folder(path) or os.path.islink(path):  # noqa: PTH114 - see is_folder
        kind = "a folder" if is_folder(path) else "a link"
        raise UsageError(f"{path} is {kind}, not a file to write", f"choose another {option}")
    folder = next((parent for parent in path.parents if os.path.lexists(parent)), Path())
    if not is_folder(folder):
        raise UsageError(f"{folder} is not a folder, so {path} cannot be made", f"choose another {option}")


def _key(path: Path) -> str:
    # One file on systems that do not tell cases apart; refused everywhere, so that a script behaves alike.
    return _folded(str(entry_of(path)))


def _folded(name: str) -> str:
    """`name` as those systems compare it: letter by letter, so that ß stays apart from ss."""
    return name.lower()
