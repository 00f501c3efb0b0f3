"""A download in progress: its bytes, and beside them where they come from, so that a killed one can go on.

Each belongs to one process on one machine, told by its name `<model>~<machine>-<process>-<random>.part`. So a lock that
does nothing, as on some network disks, costs a second download, never a mixed-up file.
"""

import hashlib
import json
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from upscale_cli.errors import ResourceError
from upscale_cli.weights.atomic import create

STALE_S = 24 * 3600
"""Seconds after which an abandoned part, or any other temporary file, is swept."""
_PIECE = 1 << 20
_SHA256_DIGITS = 64
_in_use: set[str] = set()
"""Names of this process's own parts."""


Progress = Callable[[int, int | None], None]
"""Called with (bytes received, bytes of the whole file or None)."""


@dataclass(frozen=True)
class Want:
    """What a file must be.  sha256: as many of its first digits as are known.

    pinned: the hash comes from this machine's first download, not from the catalogue.
    """

    sha256: str | None
    bytes: int | None
    pinned: bool = False

    @property
    def exact(self) -> bool:
        """Is the whole sha256 known?"""
        return len(self.sha256 or "") == _SHA256_DIGITS

    def accepts(self, digest: str) -> bool:
        """May a file of this sha256 be the wanted one?"""
        return digest.startswith(self.sha256 or "")

    def __str__(self) -> str:
        """In a message: 'expected sha256 ab12...'."""
        origin = "pinned at the first download" if self.pinned else "expected"
        return f"{origin} sha256 {self.sha256}{'' if self.exact else '...'}"


@dataclass(frozen=True)
class Origin:
    """Which file the bytes belong to.  validator: its strong ETag or Last-Modified.  bytes: the whole file's."""

    url: str
    validator: str | None
    sha256: str | None
    bytes: int | None


class Part:
    """The bytes received so far, and their origin (None before the first)."""

    def __init__(self, path: Path, file: BinaryIO, origin: Origin | None) -> None:
        self.path = path
        self.origin = origin
        self.resumed = origin is not None
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def begin(self, origin: Origin) -> None:
        """Start over with the first byte of a file from `origin`."""
        self._file.truncate(self._file.seek(0))
        self.size, self.resumed, self.origin = 0, False, origin
        _record(self.path).unlink(missing_ok=True)
        with create(_record(self.path)) as record:
            record.write(json.dumps(asdict(origin)).encode())

    def append(self, data: bytes) -> None:
        """Add received bytes; they survive this process.  Raises OSError where the disk is full."""
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            self.size += written
            view = view[written:]

    def tail(self, size: int) -> bytes:
        """The last `size` bytes, fewer where there are fewer."""
        self._file.seek(max(0, self.size - size))
        data = self._file.read()
        self._file.seek(0, os.SEEK_END)
        return data

    def sha256(self) -> str:
        """The hash of what lies on the disk."""
        digest, _ = hash_file(self.path)
        return digest

    def close(self) -> None:
        """Leave it for a later process, where the file's hash is known to check the result by; else delete it."""
        self._file.close()
        useful = self.size > 0 and self.origin is not None and self.origin.sha256 is not None
        if not useful or not self.path.exists():
            discard(self.path)


def hash_file(path: Path) -> tuple[str, int]:
    """(sha256, bytes) of a file.  Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


@contextmanager
def claim(folder: Path, name: str, sha256: str | None) -> Iterator[Part]:
    """This process's part for model `name`, going on where a dead process stopped if the file wanted is the same.

    To be called while holding the model's lock. Afterwards at most this one part of dead processes is left.
    """
    own = folder / f"{name}~{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part"
    _in_use.add(own.name)
    part = None
    for path in sorted(folder.glob(f"{name}~*.part")):
        if _is_dead(path):
            part = part or _take(path, own, sha256)
            discard(path)
    part = part or Part(own, create(own), None)
    try:
        yield part
    except (OSError, ResourceError):  # the disk is full: leave nothing there
        part.origin = None
        raise
    finally:
        part.close()
        _in_use.discard(own.name)


def parts(folder: Path, name: str) -> list[Path]:
    """The parts of model `name` that no living process owns."""
    return [path for path in folder.glob(f"{name}~*.part") if _is_dead(path)]


def discard(path: Path) -> None:
    """Delete a part and its record, if they are there."""
    path.unlink(missing_ok=True)
    _record(path).unlink(missing_ok=True)


_OWN_NAME = re.compile(r".+~([0-9a-f]{8}-\d+-[0-9a-f]{8}\.part(\.json)?|\d+-[0-9a-f]{8}\.tmp)", re.DOTALL)
"""Of a part, its record, or a file that was not whole yet (`atomic.py`): anything else with a ~ is the user's."""


def sweep(folder: Path) -> None:
    """Delete temporary files of any model that nobody has touched for a day."""
    for path in folder.iterdir():
        try:
            if _OWN_NAME.fullmatch(path.name) and time.time() - path.lstat().st_mtime > STALE_S:
                path.unlink()
        except OSError:  # swept by another process, or not ours to sweep
            continue


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_dead(path: Path) -> bool:
    """Did the part's process, on this machine, end? A part of another machine is left to the sweep."""
    machine, _, rest = path.name.rpartition("~")[2].partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():  # in a container each run may have the same number
        return path.name not in _in_use
    if os.name != "posix":
        return True  # there a file that is in use can be neither renamed nor deleted
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False


def _take(path: Path, own: Path, sha256: str | None) -> Part | None:
    """The part at `path`, now called `own`; None where it is of another file or cannot be trusted."""
    try:
        origin = Origin(**json.loads(_record(path).read_bytes()))
        if sha256 is None or origin.sha256 != sha256:
            return None
        path.rename(own)
        _record(path).rename(_record(own))
        descriptor = os.open(own, os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0))
    except (OSError, ValueError, TypeError):
        discard(own)
        return None
    file = os.fdopen(descriptor, "r+b", buffering=0)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:  # a planted link would carry our bytes out of the cache
        return Part(own, file, origin)
    file.close()
    discard(own)
    return None
