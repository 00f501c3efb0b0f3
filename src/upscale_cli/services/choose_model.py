"""Which models a run works with: the one that is named, or for each picture the one that its faults ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.imaging.jpeg_estimate import estimate_quality
from upscale_cli.imaging.jpeg_tables import table_in
from upscale_cli.imaging.noise_estimate import estimate_noise
from upscale_cli.services.fusion_report import FusionRequest
from upscale_cli.services.loading import Model, describe_pair, find_model, find_partner, name_of
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_report import Choice
from upscale_cli.weights.catalogue import Catalogue, load_catalogue
from upscale_cli.weights.entry import AUTO, Entry
from upscale_cli.weights.store import Store


@dataclass(frozen=True)
class Pair:
    """A model that a run may use, and its partner where there is one.  fusion: what is asked for, where it has one."""

    model: Entry | Path
    partner: Entry | Path | None
    fusion: FusionRequest

    @property
    def name(self) -> str:
        """The model's name."""
        return name_of(self.model)


@dataclass(frozen=True)
class Selection:
    """The models that a run may use, more than one only where each picture has its own.

    sketch: what is known of all of them; with `automatic` its name is "auto".
    """

    pairs: tuple[Pair, ...]
    sketch: Model
    automatic: bool = False

    @property
    def paired(self) -> bool:
        """Whether a second network may run."""
        return any(pair.partner is not None for pair in self.pairs)


def select(name: str | None, fusion: FusionRequest) -> Selection:
    """The model called `name`, or those that "auto" chooses from; None is the catalogue's default.

    Raises UsageError where there is none, or none that can do what `fusion` asks for.
    """
    catalogue = load_catalogue()
    if name == AUTO or (name is None and catalogue.by_picture):
        return _automatic(catalogue, fusion)
    model = find_model(name)
    partner = find_partner(model, fusion)
    return Selection((Pair(model, partner, fusion),), describe_pair(model, partner))


def _automatic(catalogue: Catalogue, fusion: FusionRequest) -> Selection:
    if fusion.partner is not None:
        raise UsageError("--fuse-with: is the partner of one model, not of those that auto chooses from", "add --model")
    ready = _here(catalogue.automatic, fusion)
    if fusion.given:  # who asks for a gate gets one, whatever else the picture's faults would ask for
        ready = [entry for entry in ready if entry.partner is not None]
    if not ready:
        raise UsageError(f"{fusion.given[0]}: no model that auto chooses from has a second network", "add --model")
    pairs = []
    for entry in ready:
        asked = fusion if entry.partner is not None else FusionRequest()
        pairs.append(Pair(entry, find_partner(entry, asked), asked))
    return Selection(tuple(pairs), Model(AUTO, "", ready[0].scale, {}), automatic=True)


def _here(entries: Sequence[Entry], fusion: FusionRequest) -> list[Entry]:
    """Those that need no download.  Raises WeightsError where there is none."""
    store, catalogue = Store(), load_catalogue()

    def ready(entry: Entry) -> bool:
        partner = entry.partner if fusion.wanted is not False else None
        needed = (entry, catalogue.upscaler(partner)) if partner else (entry,)
        return all(store.location(each) is not None for each in needed)

    found = [entry for entry in entries if ready(entry)]
    if not found:
        raise WeightsError("auto: none of the models to choose from is on this machine", "name one with --model")
    return found


def choose(pairs: Sequence[Pair], job: Job) -> Choice:
    """The first of `pairs` whose rule takes `job.picture`, the last where none does.

    Raises PictureError for a file that cannot be read any more.
    """
    assert job.picture is not None
    table = table_in(job.source) if job.header.format == "JPEG" else None
    noise, jpeg = estimate_noise(job.picture.pixels, job.picture.alpha), estimate_quality(job.picture.pixels, table)

    def suits(pair: Pair) -> bool:
        rule = pair.model.auto if isinstance(pair.model, Entry) else None
        return rule is not None and rule.takes(noise, jpeg)

    return Choice(next(filter(suits, pairs), pairs[-1]).name, noise, jpeg)
