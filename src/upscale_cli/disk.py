"""What every file that must appear whole or not at all needs of the system."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers for no room: the disk's, the user's quota, the largest file."""

UNABLE = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM})
"""Error numbers for what a file system does not do."""


def publish(part: Path, final: Path) -> None:
    """Renames the finished `part`, closed or unbuffered, to `final` in the same folder; durable when this returns."""
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.replace(final)
    if os.name == "nt":
        return  # folders cannot be opened there
    # The renaming itself must last through a power cut. The file is there, and whole, even where the folder may not be
    # opened, or its file system cannot do this.
    with suppress(PermissionError):
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in UNABLE:
                raise
        finally:
            os.close(folder)


def free_bytes(folder: Path) -> int:
    """Bytes a user may still write in `folder`, 0 where it cannot be asked."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
