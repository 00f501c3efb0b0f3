"""Where feature maps of a whole picture lie: on the device, in memory, or in a temporary file without a name."""

import contextlib
import mmap
import os
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from upscale_cli.disk import FULL, free_bytes
from upscale_cli.errors import ResourceError
from upscale_cli.inference.tile_queue import is_out_of_memory

Place = Literal["device", "memory", "file"]
_BIG_TEMPORARY_FILES = Path("/var/tmp")  # noqa: S108 - where the file has no name
_GIB = 2**30
_LEFT_ALONE = 2**29
"""Bytes of temporary files that stay in memory: to give pages back and to take them again costs time."""
_MADV_POPULATE_WRITE = 23
"""Linux' since 5.14; the module `mmap` has no name for it."""


def choose_place(needed: int, memory: int, device: torch.device) -> Place:
    """Where `needed` bytes of feature maps go, when the whole run may take `memory` bytes.

    A device's own memory is not counted against `memory`.  Tiles take up to a quarter of it (`plan.choose_tile`).
    """
    if device.type == "cuda" and needed <= torch.cuda.mem_get_info(device)[0] // 2:
        return "device"
    return "memory" if needed <= memory - memory // 4 else "file"


def spill_folder() -> Path:
    """Where the temporary file is made: in TMPDIR, or where large ones belong (/tmp is often kept in memory)."""
    if chosen := os.environ.get("TMPDIR"):
        return Path(chosen)  # also where it is none: to use another in silence might fill a small disk
    if os.access(_BIG_TEMPORARY_FILES, os.W_OK | os.X_OK):
        return _BIG_TEMPORARY_FILES
    return Path(tempfile.gettempdir())


class FeatureStore:
    """Memory for feature maps; what is given back is used again, because a fresh page costs more than what is in it."""

    def __init__(self, place: Place, device: torch.device) -> None:
        self._place = place
        self._device = device
        self._spare: dict[tuple[int, torch.dtype], list[Tensor]] = {}
        self._files: dict[int, mmap.mmap] = {}

    def take(self, features: int, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Callable[[], None]]:
        """(1, features, height, width), channels last, of any values; and what to call when it is done with.

        Raises ResourceError where the disk has no room.
        """
        size = features * height * width
        spare = self._spare.setdefault((size, dtype), [])
        flat = spare.pop() if spare else self._new(size, dtype)
        return flat.view(height, width, features).permute(2, 0, 1)[None], partial(spare.append, flat)

    def expect(self, values: Tensor, top: int, bottom: int) -> None:
        """Rows [top, bottom) of a map of this store are needed soon: all their pages at once, not fault by fault."""
        file = self._files.get(values.data_ptr())
        if file is None or file not in self._large_files():
            return
        row = values.shape[1] * values.shape[3] * values.element_size()
        begin = top * row // mmap.PAGESIZE * mmap.PAGESIZE
        with contextlib.suppress(OSError):  # an older system: page by page, then
            file.madvise(_MADV_POPULATE_WRITE, begin, bottom * row - begin)

    def leave_memory(self) -> None:
        """Pages of temporary files that were touched are the system's again; what is in them stays."""
        for file in self._large_files():
            file.madvise(mmap.MADV_DONTNEED)

    def _large_files(self) -> Collection[mmap.mmap]:
        files = self._files.values()
        return files if hasattr(mmap, "MADV_DONTNEED") and sum(map(len, files)) > _LEFT_ALONE else ()

    def _new(self, size: int, dtype: torch.dtype) -> Tensor:
        if self._place == "file":
            file = _temporary(size * dtype.itemsize)
            flat = torch.frombuffer(file, dtype=dtype)
            self._files[flat.data_ptr()] = file
            return flat
        try:
            return torch.empty(size, dtype=dtype, device=self._device if self._place == "device" else "cpu")
        except RuntimeError as error:
            if self._place == "memory" or not is_out_of_memory(error):
                raise
            self._place = "memory"
            return self._new(size, dtype)


def _temporary(needed: int) -> mmap.mmap:
    """The bytes of a file that is gone with them, also when the process is killed."""
    folder = spill_folder()
    try:
        # Without a name from the beginning where the system can do that; Windows removes it with the process.
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), needed)
            return mmap.mmap(file.fileno(), needed)
    except OSError as error:
        if error.errno not in FULL:
            raise ResourceError(f"{folder}: no temporary file: {error.strerror}", "set TMPDIR to a folder") from error
        raise ResourceError(
            f"{folder}: no room for {needed / _GIB:.1f} GiB of features, {free_bytes(folder) / _GIB:.1f} are free",
            "make room, set TMPDIR to another folder, or give more --memory",
        ) from error


def _reserve(descriptor: int, size: int) -> None:
    """Makes the file `size` bytes long, on the disk: a disk that is full only later would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
