"""Which device, how much memory, and float32 that is float32."""

from pathlib import Path

import pytest
import torch

from upscale_cli.errors import ExitCode, UsageError
from upscale_cli.inference import device
from upscale_cli.inference.device import (
    DEFAULT_MEMORY,
    choose_device,
    free_memory,
    memory_budget,
    prepare_device,
    reduced_precision,
)

GIB = 1024**3


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in (torch.cuda, torch.backends.mps, torch.xpu):
        monkeypatch.setattr(owner, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    "name",
    ["", "gpu", "tpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "cuda:" + "9" * 5000, "cpu:0", "mps:1", "auto:0"],
)
def test_unknown_devices_are_refused(name, two_gpus):
    with pytest.raises(UsageError, match="unknown device") as caught:
        choose_device(name)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "auto" in caught.value.hint


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "xpu", "xpu:3"])
def test_devices_that_are_not_here_are_refused(name, no_accelerator):
    with pytest.raises(UsageError, match=f"device '{name}' is not available here"):
        choose_device(name)


def test_a_gpu_too_many_is_refused(two_gpus):
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(UsageError, match="there are only 2"):
        choose_device("cuda:2")


def test_auto_takes_what_is_there(no_accelerator):
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


def test_auto_prefers_a_gpu(two_gpus):
    assert choose_device("auto").type == "cuda"


def test_tf32_is_off():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    prepare_device(torch.device("cpu"))
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(("native_bf16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_reduced_format_of_a_gpu(monkeypatch, native_bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native_bf16)
    assert reduced_precision(torch.device("cuda")) is expected


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, torch.bfloat16), (False, None)])
def test_a_cpu_without_bf16_has_no_faster_format(monkeypatch, has_bf16, expected):
    monkeypatch.setattr(device, "_cpu_has_bf16", lambda: has_bf16)
    assert reduced_precision(torch.device("cpu")) is expected


@pytest.mark.parametrize(("wanted", "free", "budget"), [
    (3 * GIB, 1 * GIB, 3 * GIB),
    (None, 2 * GIB, int(1.2 * GIB)),
    (None, 500 * GIB, DEFAULT_MEMORY),
    (None, 0, 0),
])  # fmt: skip
def test_memory_budget(monkeypatch, wanted, free, budget):
    monkeypatch.setattr(device, "free_memory", lambda: free)
    assert memory_budget(wanted) == budget


def _control_group(folder: Path, limit: str, used: int, cached: int) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\nactive_file 5\n")


@pytest.mark.parametrize(("limit", "used", "cached", "free"), [
    ("1000", 300, 0, 700),
    ("1000", 990, 600, 610),  # a group that has read large files is not full
    ("1000", 1200, 0, 0),
    ("max", 300, 0, None),
])  # fmt: skip
def test_free_memory_keeps_to_the_control_group(monkeypatch, tmp_path, limit, used, cached, free):
    monkeypatch.setattr(device, "CONTROL_GROUP", tmp_path)
    without = free_memory()
    _control_group(tmp_path, limit, used, cached)
    if free is None:
        assert free_memory() == pytest.approx(without, rel=0.5)
    else:
        assert free_memory() == free
    assert without > 10**6
