"""One run at a time where two would spoil each other's files."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(lock: Path, wait: float = 0) -> Iterator[bool]:
    """Holds the file `lock`, which is made, while the block runs; False where another run holds it for `wait` seconds.

    Where the file system has no locks nobody is kept out.  Raises OSError where the file cannot be made.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=wait)
    try:
        with contextlib.suppress(NotImplementedError):  # a file system without locks
            held.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()
