"""Which models a run may use, and which of them a picture gets."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import chelsea

from upscale_cli.degradation.noise import add_sensor_noise
from upscale_cli.degradation.operations import Pixels, compress, downsample
from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.imaging.files import Picture, read_header, read_picture
from upscale_cli.services.choose_model import choose, select
from upscale_cli.services.fusion_report import FusionRequest
from upscale_cli.services.inputs import Input
from upscale_cli.services.outputs import Target
from upscale_cli.services.picture_job import Job
from upscale_cli.weights.catalogue import load_catalogue

RULES = {"strong": "jpeg = [1, 60]", "noisy": "noise = [6, 255]", "quiet": ""}


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three models of one's own, in a cache that holds them all."""
    tables = [
        f"[models.{name}]\nmethod = 'srrescycgan'\nscale = 4\nurls = ['https://a.example/{name}']\n"
        f"[models.{name}.auto]\n{rule}\n"
        for name, rule in RULES.items()
    ]
    path = tmp_path / "mine.toml"
    path.write_text("".join(tables))
    (tmp_path / "cache").mkdir()
    for name in RULES:
        (tmp_path / "cache" / f"{name}.weights").touch()
    monkeypatch.setenv("UPSCALE_WEIGHTS", str(path))
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return path


def photo() -> Pixels:
    return downsample(chelsea()[:296, :448], 4, "bicubic")


def job(pixels: Pixels, source: Path | None = None) -> Job:
    picture = Picture(pixels)
    path = source or Path("a.png")
    if source is None:
        Image.fromarray(pixels).save(path)
    header = read_header(path)
    target = Target(Input(str(path), path, Path()), None, "PNG")
    return Job(target, path, header, (1, 1), (1, 1), 0, picture=picture)


@pytest.mark.parametrize(
    ("spoiled", "model"),
    [
        (photo(), "quiet"),
        (add_sensor_noise(photo(), 10, np.random.default_rng(1)), "noisy"),
        (compress(photo(), 40), "strong"),
        (compress(photo(), 90), "quiet"),
        (compress(add_sensor_noise(photo(), 20, np.random.default_rng(1)), 95), "noisy"),
    ],
)
def test_the_first_model_whose_conditions_hold(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: Pixels, model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    selection = select("auto", FusionRequest())
    assert (selection.automatic, selection.sketch.name, selection.sketch.scale) == (True, "auto", 4)
    choice = choose(selection.pairs, job(spoiled))
    assert choice.model == model
    assert choice.words.endswith(f" -> {model}")


def test_a_jpeg_file_is_asked_for_its_table(catalogue: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.jpg"
    Image.new("RGB", (64, 64), "grey").save(path, quality=35)
    choice = choose(select("auto", FusionRequest()).pairs, job(read_picture(path).pixels, path))
    assert (choice.model, choice.jpeg) == ("strong", 35)


def test_models_that_are_not_here_are_passed_over(catalogue: Path, tmp_path: Path) -> None:
    names = [pair.name for pair in select("auto", FusionRequest()).pairs]
    assert names == ["strong", "noisy", "quiet", "rwsr-jpeg", "rwsr"], "one's own first"
    (tmp_path / "cache" / "strong.weights").unlink()
    assert [pair.name for pair in select("auto", FusionRequest()).pairs] == names[1:]


def test_no_model_here_is_said(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upscale_cli.services.choose_model.Store.location", lambda *_: None)
    with pytest.raises(WeightsError, match="auto: none of the models"):
        select("auto", FusionRequest())


def test_the_default_is_auto_until_the_user_names_another(catalogue: Path) -> None:
    assert select(None, FusionRequest()).automatic
    catalogue.write_text('default = "noisy"\n' + catalogue.read_text())
    selection = select(None, FusionRequest())
    assert (selection.automatic, selection.sketch.name) == (False, "noisy")
    assert select("auto", FusionRequest()).automatic


def test_fusion_that_no_choice_could_do(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--fuse-with: is the partner of one model"):
        select("auto", FusionRequest(partner="noisy"))
    assert [pair.name for pair in select("auto", FusionRequest(gamma=80)).pairs] == ["rwsr"]
    own = [entry for entry in load_catalogue().automatic if entry.partner is None]
    monkeypatch.setattr("upscale_cli.services.choose_model._here", lambda *_: own)
    with pytest.raises(UsageError, match="--fuse: no model that auto chooses from"):
        select("auto", FusionRequest(wanted=True))
