"""Kernels by which a picture was made smaller: read from and written to PNG, NumPy's .npy and MATLAB's .mat."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upscale_cli.errors import UsageError
from upscale_cli.imaging.atomic import whole_file

Kernel = NDArray[np.float64]

MAX_SIDE = 33
LEAST_MEAN = 0.1
"""A kernel's sum over that of its absolute values; sharp filters have .6, what makes edges has nothing."""
SUFFIXES = (".png", ".npy", ".mat")
MAT_NAME = "Kernel"
"""What KernelGAN calls the variable."""


def read_kernel(path: Path) -> tuple[Kernel, tuple[str, ...]]:
    """The kernel (K, K), K odd and at most MAX_SIDE, of sum 1; and what was changed to make it so, in words.

    Raises UsageError for anything else.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--kernel {path}: is none of {', '.join(SUFFIXES)}", "save it as one of these")
    try:
        values = _READERS[suffix](path)
    except FileNotFoundError as error:
        raise UsageError(f"--kernel {path}: there is no such file", "check the path") from error
    except Exception as error:  # a damaged file can fail in any way inside a reader
        raise UsageError(f"--kernel {path}: cannot be read: {error}", "save it anew") from error
    return _checked(values, path)


def write_kernel(kernel: Kernel, path: Path) -> None:
    """The kernel (K, K) as its suffix says, whole or not at all: numbers as they are, or in a PNG of 16 bits of which
    the largest is white and what is below zero is black.  Raises PictureError, ResourceError."""
    suffix = path.suffix.lower()
    with whole_file(path, kernel.nbytes) as stream:
        if suffix == ".npy":
            np.save(stream, kernel)
        elif suffix == ".mat":
            from scipy.io import savemat

            savemat(stream, {MAT_NAME: kernel})
        else:
            levels = np.rint(np.clip(kernel / kernel.max(), 0, 1) * 65535).astype(np.uint16)
            Image.fromarray(levels).save(stream, "PNG")


def _checked(values: NDArray[np.generic], path: Path) -> tuple[Kernel, tuple[str, ...]]:
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.shape[0] % 2 == 0:
        sides = " x ".join(map(str, values.shape)) or "one number"
        raise UsageError(f"--kernel {path}: {sides}: a kernel is square and of an odd side", "pad it with zeros")
    if not 3 <= values.shape[0] <= MAX_SIDE:
        raise UsageError(
            f"--kernel {path}: {values.shape[0]} pixels a side, from 3 to {MAX_SIDE} are possible", "cut its margin off"
        )
    if values.dtype.kind not in "buif":
        raise UsageError(f"--kernel {path}: holds no real numbers", "save it anew")
    kernel = values.astype(np.float64)
    with np.errstate(over="ignore"):
        total, size = kernel.sum(), np.abs(kernel).sum()
    if not np.isfinite(size) or total <= LEAST_MEAN * size:
        raise UsageError(f"--kernel {path}: its sum is {total:g}: not a kernel that keeps brightness", "save it anew")
    if np.isclose(total, 1, atol=1e-3) or path.suffix.lower() == ".png":  # levels have no unit
        return kernel / total, ()
    return kernel / total, (f"{path}: its sum was {total:.4g}, made 1",)


def _read_png(path: Path) -> NDArray[np.generic]:
    with Image.open(path, formats=("PNG",)) as image:
        if max(image.size) > MAX_SIDE:  # before anything large is decoded
            return np.zeros(image.size[::-1])
        grey = image if image.mode.startswith("I") else image.convert("L")
        return np.asarray(grey)


def _read_npy(path: Path) -> NDArray[np.generic]:
    # Mapped: a file that promises much takes no memory.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _read_mat(path: Path) -> NDArray[np.generic]:
    from scipy.io import loadmat, whosmat

    with path.open("rb") as stream:
        matrices = [name for name, shape, _ in whosmat(stream) if len(shape) == 2 and max(shape) > 1]
        name = MAT_NAME if MAT_NAME in matrices else next(iter(matrices), "")
        if not name or (len(matrices) > 1 and name != MAT_NAME):
            raise ValueError(f"it holds {len(matrices)} matrices, none of them called {MAT_NAME}")
        stream.seek(0)
        return np.asarray(loadmat(stream, variable_names=[name])[name])


_READERS = {".png": _read_png, ".npy": _read_npy, ".mat": _read_mat}
