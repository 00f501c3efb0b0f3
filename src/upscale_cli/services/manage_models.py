"""The use cases of `upscale models`: plain arguments in, frozen reports out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.weights.catalogue import Catalogue, load_catalogue
from upscale_cli.weights.entry import Checkpoint, Entry, FeatureNetwork, check_name
from upscale_cli.weights.store import Store, StoredFile, how_to_get

Where = Literal["bundled", "cached", "imported", "not downloaded"]
Progress = Callable[[str, int, int | None], None]
"""Called with (model name, bytes received, bytes of the whole file or None)."""


@dataclass(frozen=True)
class ModelReport:
    """A model and where its checkpoint is on this machine (path: None if it is not here)."""

    entry: Entry | FeatureNetwork
    where: Where
    path: Path | None
    default: bool


@dataclass(frozen=True)
class Verdict:
    """What checking one checkpoint gave.  file: None where it is absent or wrong, then `fault` says how."""

    name: str
    file: StoredFile | None
    fault: str = ""


def list_models(store: Store | None = None) -> list[ModelReport]:
    """Every model the program knows, in the catalogue's order."""
    store, catalogue = store or Store(), load_catalogue()
    return [_report(entry, catalogue, store) for entry in catalogue.entries.values()]


def describe_model(name: str, store: Store | None = None) -> ModelReport:
    """One model.  Raises UsageError for an unknown name."""
    catalogue = load_catalogue()
    return _report(catalogue.find(name), catalogue, store or Store())


def pull_models(
    names: Sequence[str], *, offline: bool, progress: Progress | None = None, store: Store | None = None
) -> Iterator[Verdict]:
    """Have these models on this machine, and their partners; one that fails does not keep the others away.

    Raises UsageError for an unknown name before anything is fetched; the iterator ResourceError where the disk is full.
    """
    store, catalogue = store or Store(), load_catalogue()
    named = [catalogue.find(name) for name in names]
    partners = [catalogue.find(entry.partner) for entry in named if isinstance(entry, Entry) and entry.partner]
    entries = list({entry.name: entry for entry in (*named, *partners)}.values())
    return (
        _verdict(entry, partial(store.obtain, offline=offline, progress=progress and partial(progress, entry.name)))
        for entry in entries
    )


def verify_models(names: Sequence[str], store: Store | None = None) -> list[Verdict]:
    """Hash the named checkpoints anew; without names, all that are on this machine, damaged imports too."""
    store, catalogue = store or Store(), load_catalogue()
    if names:
        return [_verdict(catalogue.find(name), store.verify) for name in names]
    here = [entry for entry in catalogue.entries.values() if store.location(entry) is not None]
    damaged = [Verdict(name, None, f"{path}: is damaged") for name, path in catalogue.damaged.items()]
    return [_verdict(entry, store.verify) for entry in here] + damaged


def locate_model(name: str, store: Store | None = None) -> Path:
    """Where the checkpoint is.  Raises WeightsError if it is not on this machine."""
    report = describe_model(name, store)
    if report.path is None:
        raise WeightsError(f"{name}: is not on this machine", how_to_get(report.entry))
    return report.path


def remove_model(name: str, store: Store | None = None) -> bool:
    """Delete the checkpoint from the cache, an imported model altogether; False if it was not there."""
    store, catalogue = store or Store(), load_catalogue()
    return store.forget(name) if name in catalogue.damaged else store.remove(catalogue.find(name))


def import_model(
    file: Path,
    *,
    name: str | None = None,
    method: str | None = None,
    scale: int | None = None,
    options: Mapping[str, Any] | None = None,
    store: Store | None = None,
) -> ModelReport:
    """Take a checkpoint file of one's own into the cache, as model `name` (default: the file's name without suffix).

    method, scale and options default to what the file says, or its tensors tell.

    A new name becomes a model of the user's own, kept as safetensors. A name of the catalogue says that the file is
    that model's checkpoint: its tensors must fit, its sha256 too, and it is kept as it is.
    Raises WeightsError where the file does not fit, UsageError for a bad name or method.
    """
    from upscale_cli.methods import load_method
    from upscale_cli.methods.recognition import require_fit
    from upscale_cli.services.loading import describe_model
    from upscale_cli.services.provenance import writable
    from upscale_cli.weights.checkpoint import read_state_dict, write_safetensors

    store, catalogue = store or Store(), load_catalogue()
    name = _importable(name or file.stem, catalogue)
    state, metadata = read_state_dict(file)
    known = catalogue.entries.get(name)
    if known is not None:
        if isinstance(known, Entry):
            require_fit(state, known.method, known.options, str(file), scale=known.scale)
        store.adopt(known, file)
        return _report(known, catalogue, store)
    said = describe_model(file)
    method = method or said.method
    options = (dict(said.options) if method == said.method else {}) | dict(options or {})
    scale = scale or load_method(method).scale(options)
    require_fit(state, method, options, str(file), scale=scale)
    write_safetensors(state, store.reserve(name), metadata | {"method": method})
    about = {"description": writable(f"Imported from {file.name}"), "source": writable(str(file.resolve()))}
    new = store.register(name, {"method": method, "scale": scale, "options": options, **about})
    return ModelReport(new, "imported", store.path(new), default=False)


def _importable(name: str, catalogue: Catalogue) -> str:
    try:
        check_name(name)
    except ValueError as error:
        raise UsageError(f"{name[:80]!r} cannot be a model's name: {error}", "choose one with --name") from error
    if name in catalogue.imported or name in catalogue.damaged:
        raise UsageError(f"{name}: was imported before", f"upscale models remove {name}, or choose another --name")
    clash = next((other for other in catalogue.entries if other != name and other.casefold() == name.casefold()), None)
    if clash is not None:
        raise UsageError(f"{name}: differs from '{clash}' by case alone", "choose another --name")
    return name


def _verdict(entry: Checkpoint, look: Callable[[Checkpoint], StoredFile]) -> Verdict:
    try:
        return Verdict(entry.name, look(entry))
    except WeightsError as error:
        return Verdict(entry.name, None, str(error))


def _report(entry: Entry | FeatureNetwork, catalogue: Catalogue, store: Store) -> ModelReport:
    path = store.location(entry)
    return ModelReport(entry, _where(entry, path, catalogue, store), path, entry.name == catalogue.default)


def _where(entry: Checkpoint, path: Path | None, catalogue: Catalogue, store: Store) -> Where:
    if path is None:
        return "not downloaded"
    if path != store.path(entry):
        return "bundled"
    return "imported" if entry.name in catalogue.imported else "cached"
