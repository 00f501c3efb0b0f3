"""A model's name or file -> a network that can run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.methods import load_method
from upscale_cli.weights.catalogue import Entry, load_catalogue
from upscale_cli.weights.checkpoint import read_state_dict, require_tensors
from upscale_cli.weights.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from upscale_cli.inference.device import Placement
    from upscale_cli.inference.network import Network

FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Model:
    """A chosen model.  sha256: of its file, "" while it is not here.  state: its tensors, None while not loaded.

    notes: what the user should know of it.
    """

    name: str
    method: str
    scale: int
    options: Mapping[str, Any]
    sha256: str = ""
    state: "Mapping[str, Tensor] | None" = None
    notes: tuple[str, ...] = ()

    def network(self, placement: "Placement", *, projection: bool) -> "Network":
        """The network on its device; untrained where `state` is None, for planning."""
        return load_method(self.method).build(self.state, self.options, placement, projection=projection)


def find_model(name: str | None) -> Entry | Path:
    """The catalogue's entry (the default for None), or a file of the user's.  Raises UsageError where it is neither."""
    catalogue = load_catalogue()
    if name is None:
        return catalogue.find(catalogue.default)
    if name in catalogue.entries:
        return catalogue.entries[name]
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix in FILE_SUFFIXES or path.name != name:
        raise UsageError(f"--model {name}: there is no such file", "check the path, or see 'upscale models list'")
    return catalogue.find(name)


def describe_model(choice: Entry | Path) -> Model:
    """The model without its tensors where they would have to be fetched: for planning."""
    if isinstance(choice, Path):
        return _from_file(choice)
    return Model(choice.name, choice.method, choice.scale, choice.options)


def load_model(choice: Entry | Path, *, offline: bool, progress: Progress | None = None) -> Model:
    """The model with its tensors, downloaded if need be and checked.  Raises WeightsError, ResourceError."""
    if isinstance(choice, Path):
        return _from_file(choice)
    stored = Store().obtain(choice, offline=offline, progress=progress)
    state, _ = read_state_dict(stored.path)
    require_tensors(
        state, load_method(choice.method).expected_tensors(choice.options), f"{choice.name} ({stored.path})"
    )
    pinned = f"{choice.name}: its publisher gives no sha256; from now on {stored.sha256[:12]}... is expected"
    notes = (pinned,) if stored.pinned else ()
    return Model(choice.name, choice.method, choice.scale, choice.options, stored.sha256, state, notes)


def _from_file(path: Path) -> Model:
    """A checkpoint of the user's own; files that this program trained say how they are to be read."""
    from upscale_cli.weights.part import hash_file

    state, metadata = read_state_dict(path)
    method = metadata.get("method", "srrescycgan")
    try:
        options = json.loads(metadata.get("options", "{}"))
    except ValueError as error:
        raise WeightsError(f"{path}: its metadata is damaged", "train or export it again") from error
    require_tensors(state, load_method(method).expected_tensors(options), str(path))
    scale = int(metadata.get("scale", "4"))
    return Model(path.stem, method, scale, options, hash_file(path)[0], state)
