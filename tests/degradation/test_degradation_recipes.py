"""The named degradations are those of their sources; files are read, and wrong names are met with the right one."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from upscale_cli.degradation.drawn import Drawn
from upscale_cli.degradation.operations import compress, downsample
from upscale_cli.degradation.pipeline import DegradationSettings, degrade_and_tell
from upscale_cli.degradation.recipes import RECIPES, find_recipe
from upscale_cli.errors import UsageError

CONFIG = Path(__file__).parents[2] / "configs" / "srrescycgan-generic.toml"


def test_generic_is_what_the_bundled_model_was_trained_on():
    tables = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["degradation"]
    assert DegradationSettings.model_validate(tables) == RECIPES["generic"]
    assert find_recipe(str(CONFIG)) == RECIPES["generic"]


def test_rwsr_draws_every_kind_of_its_section_and_no_jpeg():
    picture = np.zeros((8, 8, 3), np.uint8)
    drawn = [degrade_and_tell(picture, 4, RECIPES["rwsr"], np.random.default_rng(seed))[1] for seed in range(200)]
    assert {d.downsampling for d in drawn} == {"nearest", "bilinear", "bicubic", "lanczos"}
    assert {d.noise.kind if d.noise else None for d in drawn} == {"gaussian", "poisson", "poisson-gaussian"}
    assert {(d.blur.kind, d.blur.size) if d.blur else None for d in drawn} == {("isotropic", 15)}
    assert {d.jpeg for d in drawn} == {None}


def test_ntires_tracks_have_one_degradation_for_all_pictures_or_one_for_each():
    picture = np.zeros((8, 8, 3), np.uint8)

    def drawn(name: str) -> list[Drawn]:
        return [degrade_and_tell(picture, 4, RECIPES[name], np.random.default_rng(seed))[1] for seed in range(50)]

    (unknown,) = set(drawn("ntire17-unknown"))
    assert (unknown.blur and unknown.blur.kind, unknown.shift, unknown.noise) == ("anisotropic", None, None)
    assert unknown.downsampling != "bicubic"
    (mild,) = set(drawn("ntire18-mild"))
    assert (mild.blur and mild.blur.kind, mild.noise and mild.noise.kind) == ("motion", "poisson")
    assert mild.shift not in (None, (0, 0))
    assert len(set(drawn("ntire18-wild"))) == 50
    assert {d.jpeg for name in ("ntire17-unknown", "ntire18-mild", "ntire18-wild") for d in drawn(name)} == {None}


def test_table_1_is_bicubic_with_one_fixed_fault():
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    low = downsample(picture, 4, "bicubic")
    pressed, _ = degrade_and_tell(picture, 4, RECIPES["srrescycgan-jpeg"], np.random.default_rng(0))
    assert np.array_equal(pressed, compress(low, 30))
    _, drawn = degrade_and_tell(picture, 4, RECIPES["srrescycgan-noise"], np.random.default_rng(0))
    assert (drawn.blur, drawn.downsampling, drawn.jpeg) == (None, "bicubic", None)
    assert drawn.noise is not None
    assert drawn.noise.sigma == 8


def test_a_file_holds_settings_or_is_a_training_recipe(tmp_path: Path):
    path = tmp_path / "mine.toml"
    for text in ("jpeg_quality = [50, 60]", 'name = "x"\n[degradation]\njpeg_quality = [50, 60]'):
        path.write_text(text, encoding="utf-8")
        assert find_recipe(str(path)) == DegradationSettings(jpeg_quality=(50, 60))


def test_what_is_no_recipe_is_said(tmp_path: Path):
    with pytest.raises(UsageError, match=r"rwrs: no such recipe .*did you mean rwsr\?"):
        find_recipe("rwrs")
    with pytest.raises(UsageError, match=r"choose rwsr, .*toml"):
        find_recipe("quite-another")
    with pytest.raises(UsageError, match="cannot be read"):
        find_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("jpeg_qualty = [1, 2]\nblur_size = 4", encoding="utf-8")
    with pytest.raises(UsageError, match=r"blur_size.*did you mean 'jpeg_quality'"):
        find_recipe(str(tmp_path / "bad.toml"))
