"""Training from a recipe: settings, folder, device, then the loop."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from upscale_cli.disk import FULL
from upscale_cli.errors import ResourceError, UpscaleError, UsageError
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.inference.device import choose_device, prepare_device
from upscale_cli.methods import load_method, load_trainer
from upscale_cli.methods.recognition import require_same_sizes
from upscale_cli.networks.reduced_precision import PRECISIONS
from upscale_cli.networks.unit_range import UnitRange
from upscale_cli.services.loading import Model, find_model, load_model
from upscale_cli.services.locks import locked
from upscale_cli.services.training_recipe import RECIPE, as_toml, check_resumed, read_resumed, read_settings
from upscale_cli.training.loop import TRANSLATIONS, TrainingReport, train
from upscale_cli.training.processes import is_first, joined
from upscale_cli.training.settings import RecipeSettings
from upscale_cli.training.state import check_no_slim_state, write_whole
from upscale_cli.training.teacher import Taught
from upscale_cli.training.trainable import Trainable, Translating
from upscale_cli.training.watch import Watch
from upscale_cli.weights.checkpoint import require_tensors
from upscale_cli.weights.store import offline_requested


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be run.  recipe: as it is run, in `folder` once the run has begun.  parameters: how
    many each network has."""

    name: str
    method: str
    folder: Path
    recipe: Path
    device: str
    max_steps: int
    batch: int
    patch: int
    precision: str
    parameters: Mapping[str, int]


@dataclass(frozen=True)
class TrainedReport:
    """The plan, and how it ended; outcome: None for a dry run."""

    plan: TrainingPlan
    outcome: TrainingReport | None


@contextlib.contextmanager
def _naming_shortage() -> Iterator[None]:
    """Turns memory that has run out, on whatever device, into a ResourceError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not known:
            raise
        raise ResourceError(
            "out of memory", "train with a smaller batch or patch, or fewer pictures; what was saved stays"
        ) from error


@_naming_shortage()
def train_from_recipe(
    recipe: Path,
    *,
    output: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    force_config: bool = False,
    max_seconds: float | None = None,
    device: str = "auto",
    dry_run: bool = False,
    slim_state: Path | None = None,
    save_translations: bool = False,
    watch: Watch,
) -> TrainedReport:
    """Trains what `recipe` (TOML) describes; the run lies in `output`, or else in runs/<name>.

    overrides: "key.sub=value" in place of the recipe's; their paths are relative to the current folder, the recipe's to
    its own.  force_config: resume though the recipe has changed.  max_seconds: save and stop then.  dry_run: everything
    is read and checked, and one batch drawn, no more.  slim_state: a folder for the state in small parts at the end.
    save_translations: keep pictures of what a method that translates has learnt so far, beside each state.
    Raises UsageError for a faulty recipe or a folder that is in use, PictureError where too many pictures cannot be
    read, TrainingStateError for a resumed recipe that has changed, and it and ResourceError as the loop does.
    """
    deadline = time.monotonic() + max_seconds if max_seconds is not None else None
    settings = read_resumed(recipe, overrides, output) if resume else read_settings(recipe, overrides)
    if save_translations:
        _check_translates(settings)
    folder = output or Path("runs") / settings.name
    place = _training_device(device)
    if is_first():
        _check_writable(folder, "-o")
        if not resume:
            _check_unused(folder)
        if slim_state is not None:
            _check_writable(slim_state, "--slim-state")
            if not resume:
                check_no_slim_state(slim_state)
            sweep_temporaries(slim_state)
    if resume:
        check_resumed(folder, settings, force=force_config, message=watch.message)
    prepare_device(place, training=True)
    trainable = _prepared(settings, watch, resume=resume)
    plan = _plan(settings, folder, place, trainable)
    if dry_run:
        trainable.draw(0, range(settings.batch))
        return TrainedReport(plan, None)
    with joined(place) as processes, _alone_in(folder, resume=resume) if processes.first else contextlib.nullcontext():
        outcome = train(
            trainable,
            settings,
            folder,
            resume=resume,
            watch=watch,
            processes=processes,
            slim=slim_state,
            translating=trainable if save_translations and isinstance(trainable, Translating) else None,
            should_stop=lambda: deadline is not None and time.monotonic() >= deadline,
            taken=lambda: write_whole(plan.recipe, as_toml(settings).encode()) if processes.first else None,
        )
    return TrainedReport(plan, outcome)


def _training_device(name: str) -> torch.device:
    device = choose_device(name)
    if device.type in ("cpu", "cuda"):
        return device
    if name == "auto":
        return torch.device("cpu")
    raise UsageError(f"device '{name}': training runs on cpu and cuda only", "use --device cpu")


def _check_writable(folder: Path, option: str) -> None:
    """Refuses, before pictures are read, the folder that `option` names where it cannot be made or written."""
    with _naming_faults(folder, option):
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not there.is_dir():
            raise UsageError(f"{there}: is a file, not a folder", f"choose another one with {option}")
        if not os.access(there, os.W_OK | os.X_OK):
            raise UsageError(f"{there}: cannot be written", f"mend its rights, or choose another folder with {option}")


def _check_unused(folder: Path) -> None:
    """Refuses a folder that holds something already."""
    with _naming_faults(folder, "-o"):
        # A run that was killed before its first checkpoint leaves no more than its recipe.
        if folder.exists() and any(p.name != RECIPE and not p.name.startswith(".") for p in folder.iterdir()):
            raise UsageError(f"{folder}: is not empty", "go on there with --resume, or choose another folder with -o")


@contextlib.contextmanager
def _alone_in(folder: Path, *, resume: bool) -> Iterator[None]:
    """Makes `folder` and keeps other runs out of it.  Raises UsageError where one is there, or was meanwhile."""
    with contextlib.ExitStack() as stack:
        with _naming_faults(folder, "-o"):
            folder.mkdir(parents=True, exist_ok=True)
            free = stack.enter_context(locked(folder / ".lock"))
        if not free:
            raise UsageError(f"{folder}: another training is running there", "wait for it, or choose another folder")
        if not resume:
            # Since the first look pictures were read: a run that began then may have ended before this one.
            _check_unused(folder)
        _sweep(folder)
        yield


def _sweep(folder: Path) -> None:
    """Removes what a run that was killed has left half written in `folder`."""
    for place in (folder, *(folder / TRANSLATIONS).glob("step-*")):
        sweep_temporaries(place)
    for left in folder.glob("*.safetensors~*.tmp"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming_faults(folder: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = ResourceError if error.errno in FULL else UsageError
        raise kind(
            f"{folder}: cannot be used: {error.strerror or error}", f"choose another one with {option}"
        ) from error


def _prepared(settings: RecipeSettings, watch: Watch, *, resume: bool) -> Trainable:
    """What the recipe trains, with the weights that it starts from and its teacher."""
    trainable = load_trainer(settings.method).prepare(settings, watch.message)
    if settings.start is not None and not resume:
        _begin_from(settings.start, trainable, settings)
    return trainable if settings.teacher is None else _taught(settings.teacher, trainable, settings)


def _loaded(key: str, name: str) -> Model:
    """The model that the recipe's `key` names, by a name or a file."""
    try:
        return load_model(find_model(name), offline=offline_requested(False))
    except UpscaleError as error:
        raise type(error)(f"{key}: {error.message}", error.hint) from error


def _taught(teacher: str, trainable: Trainable, settings: RecipeSettings) -> Taught:
    """`trainable` with the model `teacher` beside its photographs."""
    if not settings.paired:
        raise UsageError(
            f"teacher = {teacher}: this recipe's good pictures and low-resolution ones are no pairs", "leave it out"
        )
    model = _loaded("teacher", teacher)
    sample = trainable.draw(0, range(1))
    scale = sample.hr.shape[-1] // sample.lr.shape[-1]
    if model.scale != scale:
        raise UsageError(
            f"teacher = {teacher}: enlarges x{model.scale}, this recipe's network x{scale}", "name another"
        )
    assert model.state is not None
    network = load_method(model.method).trainable(model.options)
    network.generator.load_state_dict(model.state)
    return Taught(trainable, network, settings.teacher_share, PRECISIONS[settings.precision])


def _begin_from(start: str, trainable: Trainable, settings: RecipeSettings) -> None:
    """Puts the weights of the model `start`, a name or a file, into the network that is exported."""
    model = _loaded("start", start)
    if model.method != settings.exported_method or model.state is None:
        raise UsageError(
            f"start = {start}: is a {model.method} model, this recipe trains {settings.exported_method}", "name another"
        )
    network = trainable.network.generator if isinstance(trainable.network, UnitRange) else trainable.network
    new = network.state_dict()
    added = {name: new[name] for name in new if name.startswith(getattr(network, "additions", ()))}
    state = model.state if added.keys() & model.state.keys() else added | dict(model.state)
    require_same_sizes(state, new, model.method, f"start = {start}")
    require_tensors(state, {name: tuple(value.shape) for name, value in new.items()}, f"start = {start}")
    network.load_state_dict(state)


def _check_translates(settings: RecipeSettings) -> None:
    if not settings.translates:
        raise UsageError(
            f"--save-translations: {settings.name} trains no network that translates pictures",
            "leave it out, or train a cyclesr recipe with course = 'joint' or 'apart'",
        )


def _plan(settings: RecipeSettings, folder: Path, device: torch.device, trainable: Trainable) -> TrainingPlan:
    return TrainingPlan(
        name=settings.name,
        method=settings.method,
        folder=folder,
        recipe=folder / RECIPE,
        device=str(device),
        max_steps=settings.max_steps,
        batch=settings.batch,
        patch=settings.patch,
        precision=settings.precision,
        parameters=_parameters(trainable),
    )


def _parameters(trainable: Trainable) -> dict[str, int]:
    networks = [item for group in trainable.groups.values() for item in group.networks.items()]
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks}
