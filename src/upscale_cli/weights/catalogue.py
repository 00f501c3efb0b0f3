"""Every checkpoint the program knows: its own weights.toml, what the user imported, the user's catalogues.

Imports neither torch nor requests: `upscale models list` and shell completion stay quick.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from upscale_cli.config.toml_file import Settings, parse, read_toml
from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.weights import places
from upscale_cli.weights.entry import AUTO, Entry, FeatureNetwork, difference

IMPORTED_SUFFIX = ".entry.json"
"""An imported checkpoint is described by `<name>.entry.json` beside it in the cache."""


class _CatalogueFile(Settings):
    default: str | None = None
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """All known checkpoints by name, in the order of the files.

    default: the name used when none is asked for.  imported: the names that live in the cache alone.
    automatic: the models among which `--model auto` chooses, in the order in which they are asked; the last takes what
    no other does.  by_picture: whether that is done when no model is asked for; `default` is then the last of them, for
    what needs one model.  damaged: the records of imports that cannot be read, by the models' names.
    """

    entries: Mapping[str, Entry | FeatureNetwork]
    default: str
    imported: frozenset[str] = frozenset()
    automatic: tuple[Entry, ...] = ()
    by_picture: bool = False
    damaged: Mapping[str, Path] = field(default_factory=dict)

    @property
    def upscaler_entries(self) -> list[Entry]:
        """The models that `upscale run --model` takes."""
        return [entry for entry in self.entries.values() if isinstance(entry, Entry)]

    @property
    def upscalers(self) -> list[str]:
        """Their names."""
        return [entry.name for entry in self.upscaler_entries]

    def upscaler(self, name: str) -> Entry:
        """The model called `name`.  Raises UsageError where there is none, or it is a feature network."""
        entry = self.find(name)
        if isinstance(entry, FeatureNetwork):
            hint = "'upscale models list' shows those that upscale"
            raise UsageError(f"{name}: is a feature network, for training and measuring, and upscales nothing", hint)
        return entry

    def find(self, name: str) -> Entry | FeatureNetwork:
        """The checkpoint called `name`.  Raises UsageError with the nearest names, WeightsError for a bad import."""
        if name in self.entries:
            return self.entries[name]
        if name in self.damaged:
            raise WeightsError(
                f"{self.damaged[name]}: is damaged", f"upscale models remove {name}, then import the checkpoint again"
            )
        if name == AUTO:
            raise UsageError(f"{AUTO}: chooses for each picture anew, one model is needed here", "name it")
        known = {entry.casefold(): entry for entry in self.entries}
        near = [known[entry] for entry in difflib.get_close_matches(name.casefold(), known, n=3, cutoff=0.4)]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"unknown model {name!r}", hint + "'upscale models list' shows them all")


def load_catalogue() -> Catalogue:
    """The program's catalogue, then the imported checkpoints, then the user's models and mirrors.

    Raises UsageError naming the file and the keys where one is wrong.
    """
    own, own_path = _read(places.program_catalogue()), places.program_catalogue()
    entries: dict[str, Entry | FeatureNetwork] = {
        name: _entry(name, table, own_path) for name, table in own.models.items()
    }
    fixed, found_in = frozenset(entries), dict.fromkeys(entries, own_path)
    default, chosen_in = own.default or next(iter(entries)), own_path
    records = _imported(places.cache_folder())
    imported = [entry for entry in records.values() if entry is not None and entry.name not in entries]
    entries |= {entry.name: entry for entry in imported}
    for path in places.user_catalogues():
        users = _read(path)
        if users.default:
            default, chosen_in = users.default, path
        for name, table in users.models.items():
            if not _is_mirror(name, table, entries):
                found_in[name] = path
            entries[name] = _merge(name, table, entries, fixed, path)
    for name, path in found_in.items():
        _check_partner(entries[name], entries, f"{path}: models.{name}.partner")
    if isinstance(entries.get(default), FeatureNetwork):
        raise UsageError(f"{chosen_in}: default: {default!r} is a feature network and upscales nothing")
    automatic = _automatic(entries, found_in, own_path)
    by_picture = default == AUTO
    if by_picture and not automatic:
        raise UsageError(f"{chosen_in}: default: no model has a table 'auto'", "give one, or name a model")
    still_imported = frozenset(entry.name for entry in imported if entries[entry.name] is entry)
    default = automatic[-1].name if by_picture else default
    damaged = {path.name.removesuffix(IMPORTED_SUFFIX): path for path, entry in records.items() if entry is None}
    return Catalogue(entries, default, still_imported, automatic, by_picture, damaged)


def _read(path: Path) -> _CatalogueFile:
    return parse(_CatalogueFile, read_toml(path), str(path))


def _entry(name: str, table: Mapping[str, Any], path: Path) -> Entry | FeatureNetwork:
    kind: type[Entry | FeatureNetwork] = FeatureNetwork if table.get("role") == "features" else Entry
    return parse(kind, {**table, "name": name}, f"{path}: models.{name}")


def _is_mirror(name: str, table: Mapping[str, Any], entries: Mapping[str, Entry | FeatureNetwork]) -> bool:
    return name in entries and set(table) == {"urls"}


def _merge(
    name: str,
    table: dict[str, Any],
    entries: Mapping[str, Entry | FeatureNetwork],
    fixed: frozenset[str],
    path: Path,
) -> Entry | FeatureNetwork:
    """The user's `table` for `name`: mirrors for a known model, or a model of the user's own."""
    known = entries.get(name)
    if known is not None and _is_mirror(name, table, entries):
        mirrors = _entry(name, known.model_dump() | table, path).urls
        return known.model_copy(update={"urls": mirrors + known.urls})
    if name in fixed:
        hint = "give mirrors with 'urls' alone, or choose another name"
        raise UsageError(f"{path}: models.{name}: comes with the program and cannot be replaced", hint)
    clash = next((other for other in entries if other != name and other.casefold() == name.casefold()), None)
    if clash is not None:  # one file on systems that do not tell the cases apart
        raise UsageError(f"{path}: models.{name}: differs from '{clash}' by case alone", "choose another name")
    return _entry(name, table, path)


def _check_partner(entry: Entry | FeatureNetwork, entries: Mapping[str, Entry | FeatureNetwork], where: str) -> None:
    """Raises UsageError where `entry` names a partner with which it cannot be fused; `where` is the key in its file."""
    if isinstance(entry, FeatureNetwork) or entry.partner is None:
        return
    partner = entries.get(entry.partner)
    if not isinstance(partner, Entry) or partner is entry:
        fault = "is the model itself" if partner is entry else "is not a model that upscales"
        raise UsageError(f"{where}: {entry.partner!r} {fault}", "name the second network of the pair")
    unlike = difference(entry, partner)
    if unlike:
        raise UsageError(
            f"{where}: {entry.name} and {partner.name} cannot be fused: {unlike}",
            "a pair has one method, one scale and the same options",
        )


def _automatic(
    entries: Mapping[str, Entry | FeatureNetwork], found_in: Mapping[str, Path], own_path: Path
) -> tuple[Entry, ...]:
    """The models with a rule for `--model auto`, the user's before the program's.

    Raises UsageError for different scales: an output's name has the scale, and is there before the picture is read.
    """
    ruled = [entry for name in found_in if isinstance(entry := entries[name], Entry) and entry.auto is not None]
    ruled.sort(key=lambda entry: found_in[entry.name] == own_path)
    for entry in ruled:
        if entry.scale != ruled[-1].scale:
            raise UsageError(
                f"{found_in[entry.name]}: models.{entry.name}.auto: x{entry.scale}, {ruled[-1].name} is "
                f"x{ruled[-1].scale}",
                "one scale for all that auto chooses from",
            )
    return tuple(ruled)


def _imported(cache: Path) -> dict[Path, Entry | None]:
    """The imports by their records; None for one that is damaged, which is of no concern to the other models."""
    entries: dict[Path, Entry | None] = {}
    for path in sorted(cache.glob(f"*{IMPORTED_SUFFIX}")):
        try:
            entry = Entry.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            entries[path] = None
            continue
        if path.name == entry.name + IMPORTED_SUFFIX:
            entries[path] = entry
    return entries
