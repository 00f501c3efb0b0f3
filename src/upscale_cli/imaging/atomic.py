"""A file appears under its name whole, and on the disk, or not at all."""

import contextlib
import os
import platform
import re
import secrets
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from upscale_cli.disk import FULL, free_bytes, publish
from upscale_cli.errors import PictureError, ResourceError

# Process numbers mean something on their own machine only; a folder may be shared.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_TEMPORARY = re.compile(rf"\.upscale-{_HOST}-(\d+)-[0-9a-f]{{8}}\.tmp")
_LONGEST_WRITE_SECONDS = 24 * 3600

_being_written: set[Path] = set()


@contextlib.contextmanager
def whole_file(target: Path, expected_bytes: int) -> Iterator[BinaryIO]:
    """A stream whose bytes become `target` when the block ends; when it raises, nothing has changed.

    expected_bytes: at most so many, for the message when the disk is full.
    Raises ResourceError for a full disk, PictureError for a target that cannot be written.
    """
    temporary = target.with_name(f".upscale-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    _being_written.add(temporary)
    with naming_failures(target, expected_bytes):  # which asks for the free space once the file is gone
        try:
            # 0666 less the umask, as for any new file.
            with temporary.open("xb") as stream:
                yield stream
            publish(temporary, target)
        finally:
            # Only when something was raised, a KeyboardInterrupt included, is it still there.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            _being_written.discard(temporary)


@contextlib.contextmanager
def naming_failures(target: Path, expected_bytes: int) -> Iterator[None]:
    """Turns an OSError into a ResourceError (no space) or a PictureError, with the target's name."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            free = free_bytes(target.parent)
            raise ResourceError(
                f"{target}: no space left: up to {expected_bytes / 2**20:.1f} MiB needed, "
                f"{free / 2**20:.1f} MiB free in {target.parent}",
                "make room, or choose another folder",
            ) from error
        raise PictureError(
            f"{target}: cannot be written: {error.strerror or error}", "check the folder and its rights"
        ) from error


def sweep_temporaries(folder: Path) -> int:
    """Removes what killed runs left in `folder` (not below); other runs' files in work stay.  Returns how many."""
    swept = 0
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            name = _TEMPORARY.fullmatch(path.name)
            if name and _abandoned(path, int(name[1])):
                with contextlib.suppress(OSError):
                    path.unlink()
                    swept += 1
    return swept


def abandon_writes() -> None:
    """Removes the unfinished files of writes that are under way in other threads: the process is about to end."""
    for path in list(_being_written):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _abandoned(path: Path, process: int) -> bool:
    if process == os.getpid():
        # In a container each run may have the same number.
        return path.name not in {written.name for written in _being_written}
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _LONGEST_WRITE_SECONDS:
            return True
    return not _alive(process)


def _alive(process: int) -> bool:
    if os.name == "nt":
        # Asking would interrupt it; a file that it has open cannot be removed anyway.
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
