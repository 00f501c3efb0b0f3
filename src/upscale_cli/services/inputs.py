"""What the user named as inputs -> the pictures to do: files, folders, globs and standard input."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from upscale_cli.errors import UsageError
from upscale_cli.imaging.formats import SUFFIXES

STDIN = "-"
# Known by content once opened; a folder's other files are not even opened.
PICTURE_SUFFIXES = frozenset((*SUFFIXES, ".dib", ".pbm", ".gif"))


@dataclass(frozen=True)
class Input:
    """One picture to do.

    path: None for standard input.  below: its folder relative to the folder it was found in ("." where it was named
    itself).  scanned: found in a folder rather than named.
    """

    path: Path | None
    below: Path = Path()
    scanned: bool = False

    @property
    def name(self) -> str:
        """How messages call it."""
        return str(self.path) if self.path is not None else "standard input"

    @property
    def stem(self) -> str:
        """What its output is named after."""
        return self.path.stem if self.path is not None else "stdin"


def collect_inputs(names: Sequence[str], *, recursive: bool) -> list[Input]:
    """The pictures that `names` stand for, each once, folders sorted.

    A named file that does not exist stays in the list: its turn will say so, the others are done.
    Raises UsageError where nothing is left to do.
    """
    found = [item for name in names for item in _expand(name, recursive)]
    unique = list({item.path.resolve() if item.path else None: item for item in reversed(found)}.values())[::-1]
    if not unique:
        raise UsageError(
            f"no pictures in {', '.join(names)}",
            "name a picture or a folder with pictures" + ("" if recursive else " (-r looks below it)"),
        )
    return unique


def _expand(name: str, recursive: bool) -> Iterator[Input]:
    path = Path(name)
    if name == STDIN:
        yield Input(None)
    elif path.is_dir():
        yield from _scan(path, recursive)
    elif not path.exists() and glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - the user's pattern may be absolute
        if not matches:
            raise UsageError(f"{name}: matches nothing", "check the pattern")
        for match in matches:
            yield from _expand(match, recursive) if Path(match).is_dir() else [Input(Path(match))]
    else:
        yield Input(path)


def _scan(folder: Path, recursive: bool) -> Iterator[Input]:
    try:
        entries = sorted(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}", "check its rights") from error
    for path in entries:
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file():
            yield Input(path, path.parent.relative_to(folder), scanned=True)
