"""A model's name or file -> a network that can run."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.methods import ROOMS, load_method
from upscale_cli.methods.recognition import nearest, recognise, require_fit
from upscale_cli.services.fusion_report import FusionRequest
from upscale_cli.weights.catalogue import load_catalogue
from upscale_cli.weights.checkpoint import read_state_dict
from upscale_cli.weights.container import is_safetensors, safetensors_metadata
from upscale_cli.weights.entry import Entry, difference
from upscale_cli.weights.part import hash_file
from upscale_cli.weights.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from upscale_cli.inference.device import Placement
    from upscale_cli.inference.network import AnyNetwork

FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
DEFAULT_METHOD = "srrescycgan"
"""Of a file that no method recognises, so that an error can say what is missing in it."""
OWN = {"method", "scale", "options"}
"""A file's metadata that this program writes; one that has none of them is known by its tensors."""
Progress = Callable[[int, int | None], None]
NamedProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Model:
    """A chosen model.  sha256: of its file, "" while it is not known.  state: its tensors, None while not loaded.

    notes: what the user should know of it.  partner: the second network, with which dark pictures are fused.
    """

    name: str
    method: str
    scale: int
    options: Mapping[str, Any]
    sha256: str = ""
    state: "Mapping[str, Tensor] | None" = None
    notes: tuple[str, ...] = ()
    partner: "Model | None" = None

    def network(self, placement: "Placement", *, projection: bool) -> "AnyNetwork":
        """The network on its device; untrained where `state` is None, for planning."""
        return load_method(self.method).build(self.state, self.options, placement, projection=projection)


def find_model(name: str | None) -> Entry | Path:
    """The catalogue's entry (the default for None), or a file of the user's.  Raises UsageError where it is neither."""
    catalogue = load_catalogue()
    if name is None:
        return catalogue.upscaler(catalogue.default)
    if name in catalogue.entries:
        return catalogue.upscaler(name)
    path = Path(name)
    if os.path.isfile(path):  # noqa: PTH113 - which would raise for a name too long
        return path
    if path.suffix in FILE_SUFFIXES or path.name != name:
        raise UsageError(f"{name}: there is no such file", "check the path, or see 'upscale models list'")
    return catalogue.upscaler(name)


def find_partner(choice: Entry | Path, fusion: FusionRequest) -> Entry | Path | None:
    """The second network of the pair: the one asked for or else the catalogue's; None where nothing is to be fused.

    Raises UsageError where fusion is asked for and there is none.
    """
    named = fusion.partner or (choice.partner if isinstance(choice, Entry) else None)
    if fusion.wanted is False:
        return None
    if named is not None:
        return find_model(named)
    if fusion.given:
        paired = [entry.name for entry in load_catalogue().upscaler_entries if entry.partner is not None]
        other = f", or choose {' or '.join(paired)}" if paired else ""
        raise UsageError(
            f"{fusion.given[0]}: {name_of(choice)} has no second network to be fused with",
            f"name one with --fuse-with{other}",
        )
    return None


def name_of(choice: Entry | Path) -> str:
    """How the model is called."""
    return choice.name if isinstance(choice, Entry) else choice.stem


def describe_pair(choice: Entry | Path, partner: Entry | Path | None) -> Model:
    """`describe_model`, with its partner.  Raises UsageError for two networks that cannot be fused."""
    model = describe_model(choice)
    return model if partner is None else _paired(model, describe_model(partner))


def load_pair(
    choice: Entry | Path, partner: Entry | Path | None, *, offline: bool, progress: NamedProgress | None = None
) -> Model:
    """`load_model`, with its partner.  Raises UsageError as `describe_pair`, WeightsError, ResourceError."""

    def load(one: Entry | Path) -> Model:
        return load_model(one, offline=offline, progress=progress and partial(progress, name_of(one)))

    describe_pair(choice, partner)
    return load(choice) if partner is None else _paired(load(choice), load(partner))


def _paired(model: Model, partner: Model) -> Model:
    unlike = difference(model, partner)
    if unlike and not _alike(model, partner):
        raise UsageError(
            f"{model.name} and {partner.name} cannot be fused: {unlike}",
            "a pair has one method, one scale and the same options",
        )
    return replace(model, partner=partner, notes=model.notes + partner.notes)


def _alike(model: Model, partner: Model) -> bool:
    """Whether two networks have the same tensors, though their options may be told otherwise: in full, or in part."""
    if (model.method, model.scale) != (partner.method, partner.scale):
        return False
    first, second = (load_method(one.method).expected_tensors(one.options) for one in (model, partner))
    return first == second


def describe_model(choice: Entry | Path) -> Model:
    """The model without its tensors: nothing is fetched.  Raises WeightsError for a bad file.

    torch is needed only for a file that does not say itself what it is.
    """
    if isinstance(choice, Entry):
        return Model(choice.name, choice.method, choice.scale, choice.options, choice.sha256 or "")
    try:
        about = safetensors_metadata(choice, choice.read_bytes()) if is_safetensors(choice) else {}
        words = _own_words(choice, about) if about.keys() & OWN else _by_its_tensors(choice)
        return Model(choice.stem, *words, hash_file(choice)[0])
    except OSError as error:
        raise WeightsError(f"{choice}: cannot be read: {error.strerror}", "check its rights") from error


def load_model(choice: Entry | Path, *, offline: bool, progress: Progress | None = None) -> Model:
    """The model with its tensors, downloaded if need be and checked.  Raises WeightsError, ResourceError."""
    model = describe_model(choice)
    if isinstance(choice, Path):
        return replace(model, state=_checked_state(choice, model, str(choice)))
    stored = Store().obtain(choice, offline=offline, progress=progress)
    state = _checked_state(stored.path, model, f"{choice.name} ({stored.path})")
    pinned = f"{choice.name}: its publisher gives no sha256; from now on {stored.sha256[:12]}... is expected"
    return replace(model, sha256=stored.sha256, state=state, notes=(pinned,) if stored.pinned else ())


def _checked_state(path: Path, model: Model, source: str) -> "Mapping[str, Tensor]":
    state, _ = read_state_dict(path)
    require_fit(state, model.method, model.options, source, scale=model.scale)
    return state


def _own_words(path: Path, about: Mapping[str, str]) -> tuple[str, int, dict[str, Any]]:
    """Method, scale and options as the file's metadata give them."""
    method = about.get("method", DEFAULT_METHOD)
    if method not in ROOMS:
        raise WeightsError(f"{path}: its metadata (method {method!r}) are not of this program", "get another file")
    try:
        options = json.loads(about.get("options", "{}"))
        scale = int(about.get("scale") or options.get("scale") or load_method(method).scale(options))
    except (ValueError, AttributeError, TypeError, UsageError) as error:
        raise WeightsError(f"{path}: its metadata are damaged: {error}", "export or import it again") from error
    if not 1 <= scale <= 16:
        raise WeightsError(f"{path}: its metadata (scale {scale}) are not of this program", "get another file")
    return method, scale, options


def _by_its_tensors(path: Path) -> tuple[str, int, dict[str, Any]]:
    """The same, of a file that has no metadata of ours, as the official checkpoints."""
    state, _ = read_state_dict(path)
    method, options = recognise(state) or (nearest(state), {})
    return method, load_method(method).scale(options), options
