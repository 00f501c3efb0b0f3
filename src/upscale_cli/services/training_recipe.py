"""Recipes as a training finds them: read with overrides, held against the run they are to go on with, printed anew."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from upscale_cli.config.toml_file import parse, read_toml
from upscale_cli.config.toml_text import annotated, to_toml
from upscale_cli.errors import TrainingStateError, UsageError
from upscale_cli.methods import load_trainer
from upscale_cli.training.recipe import changes, merged, override_tables, rooted, says
from upscale_cli.training.settings import FREE, LEARNED_FROM, MOVABLE, VERSION, RecipeSettings
from upscale_cli.training.state import check_saved

RECIPE = "recipe.toml"
"""The recipe as it was run, in the run's folder."""


def read_settings(recipe: Path, overrides: Sequence[str]) -> RecipeSettings:
    """The recipe (TOML) with `overrides` put over it; their paths start from the current folder, its own from its own.

    Raises UsageError for all its faults at once, or because it is of a newer form than this program knows.
    """
    tables, changed = read_toml(recipe), override_tables(overrides)
    whole = merged(tables, changed)
    version, method = whole.get("version"), whole.get("method")
    if isinstance(version, int) and version > VERSION:
        raise UsageError(
            f"{recipe}: is a recipe of version {version}, this program knows version {VERSION}",
            "it needs a newer upscale-cli",
        )
    if not isinstance(method, str):
        fault = "is missing" if method is None else f"= {method!r} should be text"
        raise UsageError(f"{recipe}: 'method' {fault}", 'name one, as in method = "srrescycgan"')
    model = load_trainer(method).TrainingSettings
    return parse(model, merged(rooted(tables, model, recipe.parent), rooted(changed, model, Path.cwd())), str(recipe))


def read_resumed(recipe: Path, overrides: Sequence[str], output: Path | None) -> RecipeSettings:
    """`read_settings` of a run that goes on, in `output` or else in runs/<name>.

    Raises UsageError as that does, whose hint names the run's own recipe, where there is one: it has every key.
    """
    try:
        return read_settings(recipe, overrides)
    except UsageError as error:
        name = merged(read_toml(recipe), override_tables(overrides)).get("name")
        own = (output or Path("runs") / str(name)) / RECIPE
        if own == recipe or not own.exists():
            raise
        raise UsageError(
            error.message, f"{error.hint}, or go on with {own}" if error.hint else f"go on with {own}"
        ) from error


def as_toml(settings: RecipeSettings) -> str:
    """The settings as a recipe that says every value."""
    return to_toml(settings.model_dump(mode="json", exclude_none=True))


def complete_recipe(method: str) -> str:
    """A recipe of `method` with every key, its default, and what it means.  Raises UsageError for an unknown method."""
    settings = annotated(load_trainer(method).TrainingSettings)
    return f"# Every key of a {method} recipe, with its default.  upscale train THIS_FILE\n\n{settings}"


def check_resumed(folder: Path, settings: RecipeSettings, *, force: bool, message: Callable[[str], None]) -> None:
    """Holds `settings` against the recipe in `folder`; says what has changed, or that none is there.

    force: everything is allowed but another method or name.
    Raises TrainingStateError where there is nothing to resume, or a key has changed that makes the rest of the run
    another one.
    """
    check_saved(folder)
    if not (folder / RECIPE).exists():
        message(f"{folder}: there is no {RECIPE}, so that nobody knows whether the recipe is the run's")
        return
    before = read_toml(folder / RECIPE)
    for key in ("method", "name"):
        if before.get(key) != getattr(settings, key):
            raise TrainingStateError(
                f"{folder}: holds a run with {key} = '{before.get(key)}', this recipe has '{getattr(settings, key)}'",
                "choose another folder with -o",
            )
    changed = {key: said for key, said in changes(before, settings).items() if key not in FREE}
    grave = [said for key, said in changed.items() if not _harmless(key, before, settings)]
    if grave and not force:
        raise TrainingStateError(
            f"{folder}: its run had other settings: {', '.join(grave)}",
            f"go on with {folder / RECIPE}, or take the new ones with --force-config",
        )
    if changed:
        message("resumed with other settings: " + ", ".join(changed.values()))


def _harmless(key: str, before: Mapping[str, Any], settings: RecipeSettings) -> bool:
    """Whether the steps to come are those that the run would have done."""
    if key in MOVABLE:
        # Pictures that were not there before, or are no longer, are not the same ones in another place.
        return key not in LEARNED_FROM or all(says(each, key) for each in (before, settings.model_dump()))
    # The other schedules end with the last step, so that another length is another rate at every step.
    return key == "max_steps" and settings.optimiser.schedule == "milestones"
