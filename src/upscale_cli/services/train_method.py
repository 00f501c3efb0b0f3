"""Training from a recipe: settings, folder, device, then the loop."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from upscale_cli.config.toml_file import parse, read_toml
from upscale_cli.errors import TrainingStateError, UsageError
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.inference.device import choose_device, prepare_device
from upscale_cli.methods import load_trainer
from upscale_cli.training.loop import TrainingReport, train
from upscale_cli.training.recipe import differences, merged, override_tables, rooted, to_toml
from upscale_cli.training.settings import RecipeSettings
from upscale_cli.training.state import write_whole
from upscale_cli.training.watch import Watch

RECIPE = "recipe.toml"
"""The recipe as it was run, in the run's folder."""


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be run.  recipe: as it is run, in `folder` once the run has begun.  parameters: their number."""

    name: str
    method: str
    folder: Path
    recipe: Path
    device: str
    max_steps: int
    batch: int
    patch: int
    parameters: int


@dataclass(frozen=True)
class TrainedReport:
    """The plan, and how it ended; outcome: None for a dry run."""

    plan: TrainingPlan
    outcome: TrainingReport | None


def train_from_recipe(
    recipe: Path,
    *,
    output: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    max_seconds: float | None = None,
    device: str = "auto",
    dry_run: bool = False,
    watch: Watch,
) -> TrainedReport:
    """Trains what `recipe` (TOML) describes; the run lies in `output`, or else in runs/<name>.

    overrides: "key.sub=value" in place of the recipe's; their paths are relative to the current folder, the recipe's to
    its own.  max_seconds: save and stop then.  dry_run: everything is read and checked, and one batch drawn, no more.
    Raises UsageError for a faulty recipe or a folder that is in use, PictureError for a picture that cannot be read,
    TrainingStateError and ResourceError as the loop does.
    """
    deadline = time.monotonic() + max_seconds if max_seconds is not None else None
    settings = _read_settings(recipe, overrides)
    folder = output or Path("runs") / settings.name
    place = _training_device(device)
    _check_folder(folder, settings, resume, watch.message)
    prepare_device(place, training=True)
    trainable = load_trainer(settings.method).prepare(settings, watch.message)
    plan = _plan(settings, folder, place, sum(p.numel() for p in trainable.network.parameters()))
    if dry_run:
        trainable.draw(0)
        return TrainedReport(plan, None)
    with _alone_in(folder):
        write_whole(plan.recipe, to_toml(_tables(settings)).encode())
        outcome = train(
            trainable,
            settings,
            folder,
            resume=resume,
            watch=watch,
            device=place,
            should_stop=lambda: deadline is not None and time.monotonic() >= deadline,
        )
    return TrainedReport(plan, outcome)


def _read_settings(recipe: Path, overrides: Sequence[str]) -> RecipeSettings:
    tables, changes = read_toml(recipe), override_tables(overrides)
    method = merged(tables, changes).get("method")
    if not isinstance(method, str):
        raise UsageError(f"{recipe}: 'method' is missing", 'name one, as in method = "srrescycgan"')
    model = load_trainer(method).TrainingSettings
    whole = merged(rooted(tables, model, recipe.parent), rooted(changes, model, Path.cwd()))
    return parse(model, whole, str(recipe))


def _training_device(name: str) -> torch.device:
    device = choose_device(name)
    if device.type in ("cpu", "cuda"):
        return device
    if name == "auto":
        return torch.device("cpu")
    raise UsageError(f"device '{name}': training runs on cpu and cuda only", "use --device cpu")


def _check_folder(folder: Path, settings: RecipeSettings, resume: bool, message: Callable[[str], None]) -> None:
    """Refuses a folder with another run in it; says what a resumed run does otherwise than before."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, not a folder", "choose another one with -o")
    if not resume:
        # A run that was killed before its first checkpoint leaves no more than its recipe.
        if folder.is_dir() and any(p.name != RECIPE and not p.name.startswith(".") for p in folder.iterdir()):
            raise UsageError(f"{folder}: is not empty", "go on there with --resume, or choose another folder with -o")
        return
    earlier = folder / RECIPE
    if not earlier.exists():
        return
    before, now = read_toml(earlier), _tables(settings)
    for key in ("method", "name"):
        if before.get(key) != now[key]:
            raise TrainingStateError(
                f"{folder}: holds a run with {key} = '{before.get(key)}', this recipe has '{now[key]}'",
                "choose another folder with -o",
            )
    changed = differences(before, now)
    if changed:
        message("resumed with other settings: " + ", ".join(changed))


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Makes `folder` and keeps other runs out of it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        with contextlib.suppress(NotImplementedError):  # a file system without locks
            lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"{folder}: another training is running there", "wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be used: {error.strerror or error}", "choose another one with -o"
        ) from error
    try:
        sweep_temporaries(folder)
        yield
    finally:
        lock.release()


def _plan(settings: RecipeSettings, folder: Path, device: torch.device, parameters: int) -> TrainingPlan:
    return TrainingPlan(
        name=settings.name,
        method=settings.method,
        folder=folder,
        recipe=folder / RECIPE,
        device=str(device),
        max_steps=settings.max_steps,
        batch=settings.batch,
        patch=settings.patch,
        parameters=parameters,
    )


def _tables(settings: RecipeSettings) -> Mapping[str, Any]:
    tables: dict[str, Any] = settings.model_dump(mode="json", exclude_none=True)
    return tables
