"""What a checkpoint file is, found out without running or expanding any of it.

Refused here: code in a pickle, compressed or overlapping zip members, duplicate keys of a safetensors header - all that
a reader might run, or that makes a small file fill the memory.
"""

import io
import json
import pickletools
import re
import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO

from upscale_cli.errors import WeightsError

_LEGACY_PICKLES = 4
"""A torch file from before the zip format begins with four pickles: a mark, the version, the machine, the state."""
_HEADER_LIMIT = 100_000_000
# What a state dict consists of. torch allows more, some of which makes a large object of a few bytes (bytearray(n)).
_HARMLESS = re.compile(
    r"collections (OrderedDict|Counter)|torch (Size|device|\w+Storage)|torch\.storage \w+Storage"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch\.serialization _get_layout|_codecs encode"
    r"|torch\.nn\.parameter Parameter|torch FloatTensor"
)
_OLD_TENSOR = "torch FloatTensor"
"""How torch named a tensor before 0.2, as in torchvision's VGG files; called with a number, it makes a large one."""


def is_safetensors(path: Path) -> bool:
    """Does the file hold safetensors, and not a pickle or a zip of pickles?  Decided by content.

    Raises WeightsError where it is none of these, or holds more than weights; OSError where it cannot be opened.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise WeightsError(f"{path}: is not a regular file", "name a checkpoint file")  # opening a pipe would wait
    with path.open("rb") as file:
        head = file.read(512)
        if not head.startswith(b"PK") and head[8:9] == b"{":
            return True
        file.seek(0)
        try:
            if head.startswith(b"PK"):
                _check_zip(path, file)
            elif head.startswith(b"\x80"):
                for _ in range(_LEGACY_PICKLES):
                    _check_pickle(path, file)
            else:
                raise WeightsError(f"{path}: {_what(head)}", "give a .safetensors or .pth file of network weights")
        except WeightsError:
            raise
        except Exception as error:  # a malformed file may raise anything; all of it means the same to a user
            raise WeightsError(f"{path}: is damaged or cut off", "get the file again") from error
    return False


def _what(head: bytes) -> str:
    if not head:
        return "is empty"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not a checkpoint"
    return "is not a checkpoint"


def _check_zip(path: Path, file: BinaryIO) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise WeightsError(f"{path}: has compressed members, which torch never writes; refused")
        if sum(member.file_size for member in members) > size:
            raise WeightsError(f"{path}: its members claim more bytes than the file's {size:,}; refused")
        pickles = [member for member in members if member.filename.endswith(".pkl")]
        if not pickles:
            raise WeightsError(f"{path}: is a zip archive without weights")
        for member in pickles:
            _check_pickle(path, io.BytesIO(archive.read(member)))


def _check_pickle(path: Path, stream: IO[bytes]) -> None:
    """Read the opcodes up to the pickle's end without executing one."""
    old_tensors, before, last = False, "", ""
    for opcode, argument, _ in pickletools.genops(stream):
        old_tensors |= opcode.name == "GLOBAL" and argument == _OLD_TENSOR
        empty = last == "EMPTY_TUPLE" or (last == "TUPLE1" and before.startswith("TUPLE"))
        if old_tensors and opcode.name in ("REDUCE", "NEWOBJ") and not empty:
            raise WeightsError(f"{path}: makes a tensor of a size of its own; nothing was executed")
        if "PUT" not in opcode.name:
            before, last = last, opcode.name
        if opcode.name in ("GLOBAL", "INST") and not _HARMLESS.fullmatch(str(argument)):
            name = str(argument).replace(" ", ".")[:100]
            raise WeightsError(f"{path}: holds {name!r}, which is not part of network weights; nothing was executed")
        if opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            raise WeightsError(f"{path}: holds the name of some code, which could not be told; nothing was executed")


def safetensors_metadata(path: Path, data: bytes) -> dict[str, str]:
    """The free text of a safetensors header.  Raises WeightsError where a key is there twice.

    The safetensors library checks all else, but takes the last of duplicates.
    """
    length = int.from_bytes(data[:8], "little")
    if length > min(len(data) - 8, _HEADER_LIMIT):
        raise WeightsError(f"{path}: is damaged or cut off", "get the file again")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its header is damaged: {error}", "get the file again") from error
    found = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} is there twice")
    return keys
