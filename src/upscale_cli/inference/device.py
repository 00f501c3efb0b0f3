"""Where and how precisely a network runs: device, number format, and what the allocator keeps."""

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from upscale_cli.errors import UsageError
from upscale_cli.inference.device_name import check_device_name

CONTROL_GROUP = Path("/sys/fs/cgroup")
DEFAULT_MEMORY = 4 * 1024**3
"""What a run takes at most without being told (--memory)."""


@dataclass(frozen=True)
class Placement:
    """A device and the number format of the layers that may be rounded."""

    device: torch.device
    dtype: torch.dtype = torch.float32


CPU = Placement(torch.device("cpu"))


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps` or `xpu` -> a device that is there.  Raises UsageError otherwise."""
    check_device_name(name)
    if name == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps", "xpu") if _available(kind)), "cpu"))
    kind, _, index = name.partition(":")
    if kind != "cpu" and not _available(kind):
        raise UsageError(f"device '{name}' is not available here", "use --device cpu or auto")
    if index and int(index) >= (count := torch.cuda.device_count() if kind == "cuda" else torch.xpu.device_count()):
        raise UsageError(f"device '{name}': there are only {count}", "use a smaller index")
    return torch.device(name)


def reduced_precision(device: torch.device) -> torch.dtype | None:
    """The number format in which `device` convolves faster than in float32, or None."""
    if device.type == "cpu":
        return torch.bfloat16 if _cpu_has_bf16() else None
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16 if device.type in ("cuda", "xpu") else torch.float16


def prepare_device(device: torch.device, *, training: bool = False) -> None:
    """Settings of the whole process: true float32 everywhere, and freed activations kept for the next tile or step."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if device.type == "cpu":
        _keep_freed_memory(training)


def memory_budget(wanted: int | None) -> int:
    """Bytes a run may take: what is wanted, or 60 % of what is free and at most DEFAULT_MEMORY."""
    return wanted if wanted is not None else min(int(0.6 * free_memory()), DEFAULT_MEMORY)


def free_memory() -> int:
    """Bytes that can be had without swapping, within the control group's limit where there is one."""
    free = int(psutil.virtual_memory().available)
    try:
        limit, used = (int((CONTROL_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        # Pages of files that were read count as used, though the system gives them back when asked.
        cached = re.search(r"^inactive_file (\d+)$", (CONTROL_GROUP / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return free
    return max(min(free, limit - used + int(cached[1] if cached else 0)), 0)


def _available(kind: str) -> bool:
    if kind == "mps":
        return torch.backends.mps.is_available()
    if kind == "xpu":
        return torch.xpu.is_available()
    return torch.cuda.is_available()


def _cpu_has_bf16() -> bool:
    return bool(
        getattr(torch.cpu, "_is_avx512_bf16_supported", bool)() or getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    )


def _keep_freed_memory(training: bool) -> None:
    """glibc hands every freed activation back to the system, and each layer faults its pages in anew.

    That took a third of the time, or half of it in large tiles. So every block comes from the heap, which a run trims
    where much of it is free, and a training never.
    """
    if not sys.platform.startswith("linux") or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1 if training else 512 * 1024**2)
        mallopt(m_top_pad, 64 * 1024**2)
