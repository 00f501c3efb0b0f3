"""Every recipe in configs/ parses as it stands and takes a step, made small."""

import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from upscale_cli.config.toml_file import parse
from upscale_cli.methods import ROOMS, load_method, load_trainer
from upscale_cli.services.train_method import train_from_recipe
from upscale_cli.services.training_recipe import complete_recipe
from upscale_cli.training.state import Best
from upscale_cli.training.watch import Progress

RECIPES = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
SMALL = ("batch=2", "patch=8", "max_steps=1", "data.holdout=[]", "data.workers=0")
SMALLER = {
    "srrescycgan": (
        "generator.features=4",
        "generator.blocks=1",
        "lr_generator.features=4",
        "lr_generator.blocks=1",
        "discriminator.features=2",
    ),
    "rwsr": (
        "generator.features=4",
        "generator.reduction=2",
        "generator.groups=1",
        "generator.blocks=1",
        "discriminator.features=2",
    ),
    "cyclesr": (
        "patch=24",
        "generator.features=4",
        "generator.blocks=2",
        "translation.features=2",
        "translation.blocks=1",
        "translation.judge_features=2",
        "discriminator.features=2",
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are tiny: more than one thread only costs time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


TRAINED = [method for method, room in ROOMS.items() if find_spec(f"{room}.training") is not None]


class Nobody:
    def begin(self, step: int, max_steps: int, batch: int, best: Best | None) -> None: ...

    def step(self, progress: Progress) -> None: ...

    def message(self, text: str) -> None: ...

    def stop_requested(self) -> bool:
        return False


def test_there_are_recipes_for_every_method():
    assert {tomllib.loads(path.read_text())["method"] for path in RECIPES} == set(TRAINED)


def _pictures(folder: Path, tables: dict[str, Any]) -> list[str]:
    """Pictures, those of low resolution where the recipe wants them, and the overrides that name their folders."""
    overrides = []
    stage = tables.get("second_stage")
    scale = load_method(stage["method"]).trainable(stage["options"]).scale if stage else 4
    for key, side in (("train", 160), ("lr", 160 // scale)):
        if key in tables["data"]:
            (folder / key).mkdir()
            for number in range(8):  # of which halves may be taken
                pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / key / f"{number}.png")
            overrides.append(f"data.{key}={folder / key}")
    return overrides


def _small_model(recipe: Path, folder: Path, overrides: list[str]) -> Path:
    """What the recipe may start from: its own model after a step from new weights."""
    unstarted = folder / "unstarted.toml"
    unstarted.write_text(re.sub(r"(?m)^start = .*$", "", recipe.read_text()))
    report = train_from_recipe(
        unstarted, output=folder / "unstarted", overrides=overrides, device="cpu", watch=Nobody()
    )
    assert report.outcome is not None
    return report.outcome.exported


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_parses_and_is_named_as_its_file(path: Path, tmp_path: Path):
    tables = tomllib.loads(path.read_text())
    folders = tables["data"].keys() & {"train", "lr"}
    tables["data"] |= dict.fromkeys(folders, str(tmp_path))  # the pictures need not be on this machine
    settings = parse(load_trainer(tables["method"]).TrainingSettings, tables, str(path))
    assert settings.name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_steps_once(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # VGG-19 itself is 575 MB
    monkeypatch.setattr("upscale_cli.weights.features.load_vgg19", lambda offline: torch.nn.Conv2d(3, 2, 3))
    tables = tomllib.loads(path.read_text())
    overrides = [*_pictures(tmp_path, tables), *SMALL, *SMALLER[tables["method"]]]
    if "start" in tables:
        overrides.append(f"start={_small_model(path, tmp_path, overrides)}")
    report = train_from_recipe(path, output=tmp_path / "run", overrides=overrides, device="cpu", watch=Nobody())
    assert report.outcome is not None
    assert report.outcome.finished
    assert report.outcome.exported.exists()


@pytest.mark.parametrize("method", TRAINED)
def test_the_printed_recipe_explains_every_key_and_is_the_defaults(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = complete_recipe(method)
    lines = text.splitlines()
    unexplained = [
        line
        for before, line in pairwise(lines)
        if re.match(r"(# )?[a-z_]+ =|\[", line) and not before.startswith("# ") and not line.startswith("method =")
    ]
    assert unexplained == []
    tables = tomllib.loads(text)
    model = load_trainer(method).TrainingSettings
    monkeypatch.chdir(tmp_path)
    # CycleSR's default course does not do without the photos.
    assert ("lr" in tables["data"]) == (method == "cyclesr")
    folders = {key: tables["data"][key] for key in ("train", "lr") if key in tables["data"]}
    for folder in folders.values():
        Path(folder).mkdir()
    required = {"name": tables["name"], "method": method, "data": folders}
    assert model.model_validate(tables) == model.model_validate(required)
    uncommented = tomllib.loads(re.sub(r"(?m)^# (?=[a-z_]+ = )", "", text))
    assert uncommented["data"]["lr"]
