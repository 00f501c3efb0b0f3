"""Made-up weights in the form in which torchvision published its oldest ones: that of torch before 0.2."""

import collections
import io
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def made_up(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Small random numbers for each tensor of `network`."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    return {name: torch.randn(value.shape, generator=generator) * 0.05 for name, value in state.items()}


class _Old(pickle._Pickler):  # the Python one, which can be told how to write a class
    """Writes tensors as torch 0.1 did: an empty tensor of its class, then its storage and shape as state."""

    def __init__(self, stream: io.BytesIO, as_parameters: bool) -> None:
        super().__init__(stream, protocol=2)
        self.storages: list[torch.UntypedStorage] = []
        self._as_parameters = as_parameters

    def persistent_id(self, thing: Any) -> Any:
        if not isinstance(thing, torch.UntypedStorage):
            return None
        self.storages.append(thing)
        return ("storage", torch.FloatStorage, str(len(self.storages)), "cpu", thing.nbytes() // 4, None)

    def save(self, thing: Any, save_persistent_id: bool = True) -> None:
        if not isinstance(thing, Tensor):
            super().save(thing, save_persistent_id)
            return
        tensor = thing.detach()
        state = (tensor.untyped_storage(), tensor.storage_offset(), tuple(tensor.size()), tensor.stride())
        if self._as_parameters and isinstance(thing, nn.Parameter):
            name, state = "torch.nn.parameter\nParameter", (tensor, None, True, False, collections.OrderedDict())
        else:
            name = "torch\nFloatTensor"
        self.write(b"c" + name.encode() + b"\n)\x81")
        self.save(state)
        self.write(pickle.BUILD)


def save_as_torch_0_1(state: Mapping[str, Tensor], path: Path, *, as_parameters: bool = False) -> None:
    """A file as torch 0.1.10 wrote it: four pickles, the storages' names, their bytes."""
    stream = io.BytesIO()
    for part in (_MAGIC, _PROTOCOL, {"protocol_version": _PROTOCOL, "little_endian": True, "type_sizes": {}}):
        pickle.dump(part, stream, protocol=2)
    wrapped = {key: nn.Parameter(value) if as_parameters else value for key, value in state.items()}
    pickler = _Old(stream, as_parameters)
    pickler.dump(collections.OrderedDict(wrapped))
    pickle.dump([str(number + 1) for number in range(len(pickler.storages))], stream, protocol=2)
    for storage in pickler.storages:
        stream.write(struct.pack("<q", storage.nbytes() // 4))
        stream.write(torch.empty(0, dtype=torch.uint8).set_(storage).numpy().tobytes())
    path.write_bytes(stream.getvalue())
