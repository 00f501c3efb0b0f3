"""A checkpoint file -> its tensors, read without running any code in it, and checked before the first picture."""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from upscale_cli.errors import WeightsError, some
from upscale_cli.weights import container
from upscale_cli.weights.atomic import disk_errors, write_whole

if TYPE_CHECKING:  # torch takes a second to import, and only whoever reads tensors needs it
    from torch import Tensor

_NESTS = ("params_ema", "params", "state_dict", "model_state_dict")
_TRUSTED_TORCH = (2, 10)
"""Before it, torch.load(weights_only=True) could be made to corrupt memory."""


def read_state_dict(path: Path) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """(name -> CPU tensor, the file's metadata), from safetensors or torch's format, whatever the file is called.

    One nest (`params_ema`, `params`, `state_dict` or `model_state_dict`) and a `module.` prefix are taken off.
    Raises WeightsError with a sentence for every file that is not just tensors.
    """
    try:
        if container.is_safetensors(path):
            return _read_safetensors(path)
        return _tensors(_unwrap(_load_pickle(path), path), path), {}
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


def require_tensors(state: Mapping[str, "Tensor"], expected: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raises WeightsError unless `state` has exactly the `expected` names and shapes, and only finite numbers.

    source: what the tensors come from, for the message.
    """
    import torch

    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    shared = [name for name in expected if name in state]
    faults = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "of the wrong shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name])}"
            for name in shared
            if tuple(state[name].shape) != tuple(expected[name])
        ],
    }
    # A counter, which has no sides, may be an integer.
    unfit = [name for name in shared if state[name].dtype not in floats and state[name].dim()]
    faults |= {
        "of the wrong type": [f"{name} {str(state[name].dtype).removeprefix('torch.')}" for name in unfit],
        "not finite": [name for name in shared if name not in unfit and not bool(torch.isfinite(state[name]).all())],
    }
    found = [f"{len(names)} {kind}: {some(names)}" for kind, names in faults.items() if names]
    if found:
        hint = "this file is damaged, or made for another network"
        raise WeightsError(f"{source}: tensors do not fit: " + "; ".join(found), hint)


def write_safetensors(state: Mapping[str, "Tensor"], path: Path, metadata: Mapping[str, str]) -> None:
    """`state` as a safetensors file that appears whole or not at all.  Raises ResourceError, WeightsError."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, dict(metadata))
    with disk_errors(path.parent, len(data), hint="choose a writable folder"):
        write_whole(path, data)


class Trained(NamedTuple):
    """What a trained network's file says of it.

    scale: how many times as large a side becomes.  options: as JSON holds them.  recipe: its name.  step: so many it
    was trained.
    """

    method: str
    scale: int
    options: Mapping[str, Any]
    recipe: str
    step: int


def write_model(state: Mapping[str, "Tensor"], path: Path, about: Trained) -> None:
    """A trained network under its method's official names; the metadata suffice to build it again.

    Raises ResourceError, WeightsError where `path` cannot be written.
    """
    metadata = {
        "method": about.method,
        "scale": str(about.scale),
        "options": json.dumps(about.options),
        "recipe": about.recipe,
        "steps": str(about.step),
    }
    write_safetensors(state, path, metadata)


def _read_safetensors(path: Path) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = path.read_bytes()  # one read: what is checked is what is loaded
    metadata = container.safetensors_metadata(path, data)
    try:
        return load(data), metadata
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path}: is damaged: {error}", "get the file again") from error


def _load_pickle(path: Path) -> Any:
    """The object in a torch file, after `container` has looked it through; only tensors and plain containers load."""
    import torch

    version = _torch_version()
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _TRUSTED_TORCH:
        hint = "update torch, or use a .safetensors file"
        raise WeightsError(f"{path}: torch {version} cannot read .pth files safely, 2.10 can", hint)
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # given a name, torch would judge by its suffix
            warnings.simplefilter("ignore")  # remarks on storage classes, of no use to a user
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a malformed file may raise anything; all of it means the same to a user
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path}: is not a file of network weights: {reason}", "get the file again") from error


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _unwrap(loaded: Any, path: Path) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path}: holds {type(loaded).__name__} instead of named tensors")
    nested: dict[str, Any] = next((loaded[key] for key in _NESTS if isinstance(loaded.get(key), dict)), loaded)
    if nested and all(isinstance(name, str) and name.startswith("module.") for name in nested):
        return {name.removeprefix("module."): value for name, value in nested.items()}
    return nested


def _tensors(state: dict[str, Any], path: Path) -> dict[str, "Tensor"]:
    """The plain dense tensors of `state`, none larger than the bytes that are really there for it."""
    import torch

    size = path.stat().st_size
    result: dict[str, Tensor] = {}
    claimed = 0
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(f"{path}: {str(name)[:80]!r} is {type(value).__name__}, not a tensor")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise WeightsError(f"{path}: {name!r} is not a plain dense tensor")
        length = value.numel() * value.element_size()
        claimed += length
        if length > value.untyped_storage().nbytes() or claimed > size:
            raise WeightsError(f"{path}: {name!r} claims more bytes ({length:,}) than are there for it; refused")
        result[name] = value.detach().contiguous()
    if not result:
        raise WeightsError(f"{path}: holds no tensors")
    return result
