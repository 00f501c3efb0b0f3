"""What the user named as inputs -> the pictures to do: files, folders, globs and standard input."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.formats import PICTURE_SUFFIXES

STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One picture to do.

    path: None for standard input.  below: its folder relative to the folder it was found in ("." where it was named
    itself).  scanned: found in a folder rather than named.  fault: why nothing can be read here, None where it can be
    tried (a folder without permission is an input that fails, so that it is not passed over in silence).
    """

    path: Path | None
    below: Path = Path()
    scanned: bool = False
    fault: PictureError | None = None

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.path) if self.path is not None else "standard input"

    @property
    def stem(self) -> str:
        """What its output is named after."""
        return self.path.stem if self.path is not None else "stdin"


def collect_inputs(names: Sequence[str], *, recursive: bool) -> list[Input]:
    """The pictures that `names` stand for, each once, in the order named, folders sorted.

    A named file that does not exist stays in the list: its turn will say so, the others are done.
    Raises UsageError where nothing is left to do.
    """
    unique: dict[Path | None, Input] = {}
    for name in names:
        for item in _expand(name, recursive):
            unique.setdefault(item.path and entry_of(item.path), item)
    if not unique:
        raise UsageError(
            f"no pictures in {', '.join(names)}",
            "name a picture or a folder with pictures" + ("" if recursive else " (-r looks below it)"),
        )
    return list(unique.values())


def entry_of(path: Path) -> Path:
    """The directory entry that `path` means: its folder without links, its own name as it is."""
    return Path(os.path.realpath(path.parent)) / path.name


def is_folder(path: str | Path) -> bool:
    """Whether `path` is one, or a link to one; False where pathlib would raise (a name too long, no right to look)."""
    return os.path.isdir(path)  # noqa: PTH112


def _expand(name: str, recursive: bool) -> Iterator[Input]:
    if name == STDIN:
        yield Input(None)
    elif is_folder(name):
        yield from _scan(Path(name), recursive)
    elif glob.has_magic(name) and not os.path.lexists(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - the user's pattern may be absolute
        if not matches:
            raise UsageError(f"{name}: matches nothing", "check the pattern")
        for match in matches:
            yield from _expand(match, recursive)
    else:
        yield Input(Path(name))


def _scan(folder: Path, recursive: bool) -> Iterator[Input]:
    """The folder's pictures, hidden files and folders left out; links to folders are not followed."""
    faults: list[OSError] = []
    for place, subfolders, files in os.walk(folder, onerror=faults.append):
        subfolders[:] = sorted(name for name in subfolders if recursive and not name.startswith("."))
        for path in (Path(place, name) for name in sorted(files)):
            if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
                yield Input(path, path.parent.relative_to(folder), scanned=True)
    for error in faults:
        path = Path(error.filename)
        fault = PictureError(f"{path}: cannot be read: {error.strerror}", "check its rights")
        yield Input(path, scanned=True, fault=fault)
