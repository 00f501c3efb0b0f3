"""Files that appear whole or not at all, also after a crash: write beside, fsync, rename, fsync the folder."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from upscale_cli.disk import FULL, free_bytes, publish
from upscale_cli.errors import ResourceError, UpscaleError, WeightsError

ANOTHER_CACHE = "choose a writable folder with UPSCALE_CACHE"
"""What to do where the cache's folder is none that can be used."""


def create(path: Path) -> BinaryIO:
    """A new unbuffered file at `path`, for writing; mode 0666 less the umask. A link planted there is not followed."""
    path.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)


def write_whole(path: Path, data: bytes) -> None:
    """`data` as the file at `path`, replacing what was there; a failure leaves the old file."""
    part = path.with_name(f"{path.name}~{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with create(part) as file:
            _write_all(file, data)
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


@contextlib.contextmanager
def disk_errors(folder: Path, needed: int | None = None, hint: str = ANOTHER_CACHE) -> Iterator[None]:
    """Turns an OSError of the block into a sentence: ResourceError where the disk is full, else WeightsError.

    needed: bytes that were to be written, for the message.  hint: what to do where the folder cannot be written.
    """
    try:
        yield
    except UpscaleError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(folder, needed) from error
        raise WeightsError(f"{folder}: cannot be written: {error.strerror or error}", hint) from error


def disk_full(folder: Path, needed: int | None) -> ResourceError:
    """The error for a full disk, with needed and free bytes."""
    want = f"{needed:,} bytes are needed, " if needed is not None else ""
    free = free_bytes(folder)
    return ResourceError(f"{folder}: disk full: {want}{free:,} are free", "make room, or choose another folder")
