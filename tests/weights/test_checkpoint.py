"""Checkpoint files: what is read is what was written; all else is refused with a sentence, and nothing runs."""

import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from upscale_cli.errors import WeightsError
from upscale_cli.weights import checkpoint
from upscale_cli.weights.checkpoint import Trained, read_state_dict, require_tensors, write_model, write_safetensors

OFFICIAL = Path(__file__).parents[2].parent / "shared/golden/srrescgan/srrescgan_model.pth"
State = dict[str, torch.Tensor]


def made() -> State:
    generator = torch.Generator().manual_seed(1)
    return {
        "alpha": torch.ones(1),
        "conv.weight": torch.randn(8, 3, 3, 3, generator=generator),
        "half": torch.randn(5, generator=generator).bfloat16(),
        "steps": torch.tensor(7),
    }


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(autouse=True)
def only_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of this file may load a pickle in any other way."""
    load = torch.load

    def watched(*arguments: Any, **keywords: Any) -> Any:
        assert keywords["weights_only"] is True
        return load(*arguments, **keywords)

    monkeypatch.setattr(torch, "load", watched)


def save_legacy(state: Any, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_safetensors(state: State, path: Path) -> None:
    save_file(state, path)


WRITERS: list[Callable[[Any, Path], None]] = [torch.save, save_legacy, save_safetensors]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.weights"])
def test_every_format_is_read_whatever_its_name(tmp_path: Path, write: Callable[[Any, Path], None], name: str) -> None:
    write(made(), tmp_path / name)
    assert same(read_state_dict(tmp_path / name)[0], made())


@pytest.mark.parametrize("write", [torch.save, save_legacy])
def test_nests_and_prefixes_are_taken_off(tmp_path: Path, write: Callable[[Any, Path], None]) -> None:
    other = {"x": torch.zeros(1)}
    parameters = {name: torch.nn.Parameter(value) for name, value in made().items() if value.is_floating_point()}
    prefixed = OrderedDict((f"module.{name}", value) for name, value in made().items())
    for nested, wanted in (
        ({"params": other, "params_ema": made()}, made()),
        ({"params": prefixed, "epoch": 3}, made()),
        ({"state_dict": made(), "optimizer": {"state": {}, "groups": [{"lr": 1e-4}]}}, made()),
        ({"model_state_dict": made()}, made()),
        (prefixed, made()),
        (parameters, {name: value.detach() for name, value in parameters.items()}),
    ):
        write(nested, tmp_path / "a.pth")
        assert same(read_state_dict(tmp_path / "a.pth")[0], wanted)


def test_what_is_written_is_read_with_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    state = made() | {"turned": torch.arange(6.0).reshape(2, 3).T}
    write_safetensors(state, path, {"method": "x", "note": "é"})
    read, metadata = read_state_dict(path)
    assert same(read, state)
    assert metadata == {"method": "x", "note": "é"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    with pytest.raises(WeightsError, match="cannot be written"):
        write_safetensors(state, tmp_path / "nowhere" / "a.safetensors", {})


@pytest.mark.skipif(not OFFICIAL.exists(), reason="needs the official checkpoint in ../shared/golden")
def test_the_official_checkpoint_is_read() -> None:
    state, _ = read_state_dict(OFFICIAL)
    assert len(state) == 47
    assert sum(value.numel() for value in state.values()) == 380356
    assert float(state["alpha"]) == pytest.approx(9.056592)


class Runs:
    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


def in_zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def legacy(data: bytes) -> bytes:
    mark, version, machine = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    return b"".join(pickle.dumps(value, 2) for value in (mark, version, machine)) + data + pickle.dumps([], 2)


def hostile(folder: Path) -> dict[str, bytes]:
    """Pickles that would act, or grow, if they were run."""
    mark = str(folder / "executed")
    calls = {
        "system": Runs(os.system, f"touch {mark}"),
        "open": Runs(open, mark, "w"),
        "popen": Runs(subprocess.Popen, ["touch", mark]),
        "eval": Runs(eval, f"open({mark!r}, 'w')"),
        "import": Runs(__import__, "antigravity"),
        "bytearray": Runs(bytearray, 1 << 34),
        "tensor": Runs(torch.FloatTensor, 1 << 32),
    }
    files = {}
    for name, call in calls.items():
        for protocol in (0, 2, 4):
            data = pickle.dumps({"w": call}, protocol)
            files |= {
                f"{name}{protocol}.plain": data,
                f"{name}{protocol}.zip": in_zip(data),
                f"{name}{protocol}.old": legacy(data),
            }
    return files


def test_nothing_in_a_pickle_is_executed(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    files = hostile(tmp_path)
    assert len(files) == 63
    for name, data in files.items():
        path = tmp_path / "files" / name
        path.write_bytes(data)
        with pytest.raises(WeightsError) as caught:
            read_state_dict(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()
    assert "antigravity" not in sys.modules
    path = tmp_path / "files" / "system2.zip"
    with pytest.raises(WeightsError, match=r"holds 'posix\.system', which is not part of network weights"):
        read_state_dict(path)


@pytest.mark.parametrize("make", [b"\x81", b"R"])
@pytest.mark.parametrize(
    "size", [b"J\xff\xff\xff\x7f\x85", b")0J\xff\xff\xff\x7f\x85", b"J\xff\xff\xff\x7f\x85q\x00)0h\x00"]
)
def test_old_tensors_cannot_be_made_large(tmp_path: Path, make: bytes, size: bytes) -> None:
    """Torch 0.1 named a tensor by its class, to be called with nothing; called with a number it takes that much."""
    path = tmp_path / "large.pth"
    path.write_bytes(legacy(b"\x80\x02}X\x01\x00\x00\x00wctorch\nFloatTensor\n" + size + make + b"s."))
    with pytest.raises(WeightsError, match="makes a tensor of a size of its own; nothing was executed"):
        read_state_dict(path)


def with_member(path: Path, **changes: Any) -> bytes:
    """The zip at `path` written anew with the keywords of `zipfile.ZipFile`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w", **changes) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    return buffer.getvalue()


def test_small_files_cannot_become_large(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"w": torch.zeros(1 << 20)}, path)
    path.write_bytes(with_member(path, compression=zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 20_000
    with pytest.raises(WeightsError, match="compressed"):
        read_state_dict(path)
    for write in (torch.save, save_legacy):
        write({"w": torch.zeros(1).expand(1 << 30)}, path)
        assert path.stat().st_size < 5_000
        with pytest.raises(WeightsError, match=r"'w' claims more bytes \(4,294,967,296\)"):
            read_state_dict(path)
    base = torch.zeros(1000)
    torch.save({f"w{index}": base for index in range(100)}, path)
    with pytest.raises(WeightsError, match="claims more bytes"):
        read_state_dict(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"x" * 5000)
    overlapping = bytearray(buffer.getvalue())
    for at in (overlapping.find(b"PK\1\2") + 24, overlapping.find(b"PK\1\2") + 20):
        overlapping[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(overlapping)
    with pytest.raises(WeightsError, match=r"claim more bytes|damaged"):
        read_state_dict(path)


def safetensors_bytes(header: object, data: bytes = b"\0" * 8, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(start: int = 0, end: int = 8, dtype: str = "F32", shape: object = (2,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


MALFORMED = {
    "duplicate key": safetensors_bytes(b'{"w":%b,"w":%b}' % ((json.dumps(tensor()).encode(),) * 2)),
    "duplicate in a tensor": safetensors_bytes(b'{"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
    "hole": safetensors_bytes({"w": tensor(4, 12)}, b"\0" * 12),
    "overlap": safetensors_bytes({"w": tensor(), "v": tensor(4, 12)}, b"\0" * 12),
    "backwards": safetensors_bytes({"w": tensor(8, 0)}),
    "beyond the end": safetensors_bytes({"w": tensor(0, 16, shape=(4,))}),
    "bytes left over": safetensors_bytes({"w": tensor()}, b"\0" * 9),
    "shape too large": safetensors_bytes({"w": tensor(shape=(3,))}),
    "shape overflows": safetensors_bytes({"w": tensor(shape=(1 << 62, 4))}),
    "negative shape": safetensors_bytes({"w": tensor(shape=(-2, -1))}),
    "shape is no list": safetensors_bytes({"w": tensor(shape=2)}),
    "unknown type": safetensors_bytes({"w": tensor(dtype="F33")}),
    "no offsets": safetensors_bytes({"w": {"dtype": "F32", "shape": [2]}}),
    "header too long": safetensors_bytes({"w": tensor()}, length=1 << 40),
    "header longer than the file": safetensors_bytes({"w": tensor()}, length=10_000),
    "header cut": safetensors_bytes({"w": tensor()}, length=20),
    "header is a list": safetensors_bytes(b"[{}]"),
    "header is no JSON": safetensors_bytes(b"{w}"),
    "header is no UTF-8": safetensors_bytes(b'{"\xff":1}'),
    "deep header": safetensors_bytes(b'{"a":' + b"[" * 100_000),
    "metadata is no text": safetensors_bytes({"__metadata__": {"a": 1}, "w": tensor()}),
    "empty": b"",
    "short": b"\x08\0\0\0\0\0\0\0{",
    "zeros": bytes(1000),
    "web page": b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "zip of nothing": in_zip(b"").replace(b"data.pkl", b"data.txt"),
    "empty zip": b"PK\5\6" + bytes(18),
    "empty pickle": b"\x80\2.",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(MALFORMED[name])
    with pytest.raises(WeightsError) as caught:
        read_state_dict(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(WeightsError, match=r"pipe\.pth: is not a regular file"):
        read_state_dict(tmp_path / "pipe.pth")


def test_words_for_what_is_no_checkpoint(tmp_path: Path) -> None:
    for name, words in (("web page", "is a web page"), ("empty", "is empty"), ("duplicate key", "'w' is there twice")):
        path = tmp_path / name
        path.write_bytes(MALFORMED[name])
        with pytest.raises(WeightsError, match=words):
            read_state_dict(path)
    with pytest.raises(WeightsError, match="No such file"):
        read_state_dict(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize("write", WRITERS)
def test_cut_and_spoilt_files_end_in_a_sentence(tmp_path: Path, write: Callable[[Any, Path], None]) -> None:
    path, chance = tmp_path / "a", random.Random(2)
    write(made(), path)
    whole = path.read_bytes()
    for _ in range(60):
        path.write_bytes(whole[: chance.randrange(len(whole))])
        with pytest.raises(WeightsError):
            read_state_dict(path)
    for _ in range(300):
        spoilt = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            spoilt[chance.randrange(min(len(spoilt), 2000))] = chance.randrange(256)
        path.write_bytes(spoilt)
        with suppress(WeightsError):  # and no other error; a spoilt number may still be a number
            read_state_dict(path)


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        ([torch.zeros(1)], "holds list instead of named tensors"),
        (torch.zeros(1), "holds Tensor instead"),
        ({"w": 1.0}, "'w' is float, not a tensor"),
        ({1: torch.zeros(1)}, "'1' is Tensor, not a tensor|'1' is"),
        ({}, "holds no tensors"),
        ({"w": torch.eye(3).to_sparse()}, "."),
    ],
)
def test_what_is_not_named_tensors_is_refused(tmp_path: Path, loaded: object, words: str) -> None:
    torch.save(loaded, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=words):
        read_state_dict(tmp_path / "a.pth")


def test_old_torch_reads_no_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(made(), tmp_path / "a.pth")
    save_file(made(), tmp_path / "a.safetensors")
    for version, trusted in (("2.9.1+cpu", False), ("2.10.0", True), ("3.0.0a0", True), ("1.13.1", False)):
        monkeypatch.setattr(checkpoint, "_torch_version", lambda version=version: version)
        assert read_state_dict(tmp_path / "a.safetensors")
        if trusted:
            assert read_state_dict(tmp_path / "a.pth")
        else:
            with pytest.raises(WeightsError, match=f"torch {version[:5]}.* cannot read .pth files safely"):
                read_state_dict(tmp_path / "a.pth")


def test_every_misfit_is_named(tmp_path: Path) -> None:
    state = made()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    require_tensors(state, shapes, "a.pth")
    state["conv.weight"][1, 2, 0, 0] = float("nan")
    del state["steps"]
    state["stray"] = torch.zeros(2)
    state["half"] = torch.full((4,), float("inf"))
    with pytest.raises(WeightsError) as caught:
        require_tensors(state, shapes, "a.pth")
    for words in (
        "a.pth: ",
        "1 missing: steps",
        "1 unexpected: stray",
        "half (4,) instead of (5,)",
        "2 not finite: conv.weight, half",
    ):
        assert words in str(caught.value)
    for dtype in (torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn):
        wrong = made() | {"half": torch.ones(5).to(dtype)}
        with pytest.raises(WeightsError, match=rf"1 of the wrong type: half {str(dtype)[6:]} \("):
            require_tensors(wrong, shapes, "a.pth")
    with pytest.raises(WeightsError, match=r"40 missing: n0, n1, n2, n3 \.\.\.;"):
        require_tensors(state, {f"n{index}": (1,) for index in range(40)}, "a.pth")


MEASURE = """
import resource, sys, torch
from contextlib import suppress
from pathlib import Path
from safetensors.torch import save_file
from upscale_cli.weights.checkpoint import read_state_dict
torch.save({"w": torch.zeros(1)}, sys.argv[1])
read_state_dict(Path(sys.argv[1]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
idle = peak()
for path in sys.argv[2:]:
    read_state_dict(Path(path))
    print(peak() - idle)
"""


def test_reading_takes_at_most_twice_the_file(tmp_path: Path) -> None:
    state = {f"w{index}": torch.ones(1 << 20) for index in range(24)}  # 96 MiB
    paths = []
    for write in WRITERS:
        paths.append(str(tmp_path / f"{len(paths)}.pth"))
        write(state, Path(paths[-1]))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "idle.pth"), *paths]
    peaks = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(peaks) == 3
    assert max(map(float, peaks)) < 2 * 96 + 100


def test_a_trained_network_says_what_it_is(tmp_path):
    path = tmp_path / "mine.safetensors"
    write_model({"weight": torch.ones(2)}, path, Trained("rwsr", 4, {"scale": 4, "n": None}, "mine", 7))
    state, metadata = read_state_dict(path)
    assert torch.equal(state["weight"], torch.ones(2))
    options = '{"scale": 4, "n": null}'
    assert metadata == {"method": "rwsr", "scale": "4", "recipe": "mine", "steps": "7", "options": options}
