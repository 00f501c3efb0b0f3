"""Two folders without partners: what is loaded, what is odd about them and said, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from training_runs import make_pictures

from upscale_cli.config.toml_file import parse
from upscale_cli.errors import UsageError
from upscale_cli.training.pictures import Pictures
from upscale_cli.training.settings import DataSettings
from upscale_cli.training.unpaired import FEW, LEAST, load_unpaired


def _photographs(folder: Path, count: int = 4, side: int = 24, first: int = 100) -> Path:
    """Pictures of other scenes than `make_pictures` makes: p100.png ..."""
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"p{number}.png")
    return folder


def _load(folder: Path, *, halves: bool = False, **values: object) -> tuple[Pictures, list[str]]:
    messages: list[str] = []
    data = parse(DataSettings, {"train": folder} | values, "recipe.toml")
    pictures = load_unpaired(data, 4, 8, messages.append, halves=halves)
    return pictures, messages


def _odd(messages: list[str]) -> list[str]:
    """What was said, but for what there is and that it is little."""
    return [text for text in messages if not re.search(r"^pictures: |pictures are few", text)]


def test_the_low_resolution_folder_needs_no_names_in_common(tmp_path: Path):
    folder = make_pictures(tmp_path / "good", 5)
    pictures, messages = _load(folder, lr=_photographs(tmp_path / "real"), holdout=["b"])
    assert (len(pictures.train), len(pictures.validation), len(pictures.source)) == (4, 1, 4)
    assert all(pair.lr is None for pair in pictures.train)
    assert pictures.source[0].shape == (24, 24, 3)
    assert _odd(messages) == []
    assert messages[-1].startswith("pictures: 4 to train on (0.0 megapixels), 1 to validate on, 4 without partners")


def test_halves_are_those_of_the_names_and_held_out_ones_are_in_neither(tmp_path: Path):
    good = make_pictures(tmp_path / "good", 9)
    degraded = tmp_path / "degraded"
    degraded.mkdir()
    for path in good.iterdir():
        Image.open(path).reduce(4).save(degraded / path.name)
    pictures, messages = _load(good, lr=degraded, holdout=["h"], halves=True)
    decoded = {path.stem: np.array(Image.open(path)) for path in sorted(good.iterdir())}
    assert all(np.array_equal(pair.hr, decoded[name]) for pair, name in zip(pictures.train, "abcd", strict=True))
    reduced = {path.stem: np.array(Image.open(path)) for path in degraded.iterdir()}
    assert all(np.array_equal(pixels, reduced[name]) for pixels, name in zip(pictures.source, "efgi", strict=True))
    assert _odd(messages) == []


def test_a_picture_in_both_folders_is_named_whatever_it_is_called(tmp_path: Path):
    good, real = make_pictures(tmp_path / "good", 5), _photographs(tmp_path / "real")
    blurred = Image.open(good / "c.png").filter(ImageFilter.GaussianBlur(2)).reduce(4)
    blurred.save(real / "IMG_7.png")
    _, messages = _load(good, lr=real)
    assert _odd(messages) == [
        f"data.lr = {real}: at least 1 of 5 pictures are in data.train too: IMG_7.png (c.png); what is learnt from "
        "them may not hold for others"
    ]


def test_a_picture_is_known_by_others_of_another_place_in_it(tmp_path: Path):
    good, real = make_pictures(tmp_path / "good", 5), _photographs(tmp_path / "real")
    image = Image.open(good / "c.png")  # 96 x 96
    shifted = Image.new("RGB", image.size)
    shifted.paste(image, (6, -6))
    shifted.reduce(4).save(real / "IMG_7.png")
    assert "at least 1 of 5 pictures are in data.train too: IMG_7.png (c.png)" in _odd(_load(good, lr=real)[1])[0]


def test_a_picture_that_validation_is_measured_on_is_named(tmp_path: Path):
    good, real = make_pictures(tmp_path / "good", 5), _photographs(tmp_path / "real")
    Image.open(good / "c.png").reduce(4).save(real / "IMG_7.png")
    _, messages = _load(good, lr=real, holdout=["c"])
    assert _odd(messages) == [
        f"data.lr = {real}: at least 1 of 5 pictures are among those that validation is measured on: IMG_7.png; take "
        "them out of either"
    ]


def test_halves_of_other_names_are_refused(tmp_path: Path):
    good, real = make_pictures(tmp_path / "good", 9), tmp_path / "real"
    real.mkdir()
    for path in good.iterdir():
        Image.open(path).reduce(4).save(real / f"{path.stem}x4m.png")
    with pytest.raises(
        UsageError, match=r"data\.halves: not of the names of .*: ax4m\.png, bx4m\.png, cx4m\.png and 6"
    ):
        _load(good, lr=real, halves=True)


def test_too_few_for_halves_says_how_many_are_needed(tmp_path: Path):
    good = make_pictures(tmp_path / "good", 7)
    with pytest.raises(UsageError, match=r"3 pictures to train on are too few") as refused:
        _load(good, lr=good, halves=True)
    assert refused.value.hint == "data.halves leaves the rest out: give it 8"


def test_photographs_larger_than_the_good_ones_are_said(tmp_path: Path):
    _, messages = _load(make_pictures(tmp_path / "good", 4), lr=_photographs(tmp_path / "real", side=200))
    assert len(_odd(messages)) == 1
    assert "are larger than those of data.train (longer side 200 to 96 pixels" in _odd(messages)[0]


@pytest.mark.parametrize("kind", ["good", "real"])
def test_grey_among_colour_is_taken_and_named(tmp_path: Path, kind: str):
    good, real = make_pictures(tmp_path / "good", 4), _photographs(tmp_path / "real")
    one = sorted((tmp_path / kind).iterdir())[0]
    Image.open(one).convert("L").save(one)
    pictures, messages = _load(good, lr=real)
    assert (len(pictures.train), len(pictures.source)) == (4, 4)
    assert len(_odd(messages)) == 1
    assert f"1 of 4 pictures are grey: {one.name}" in _odd(messages)[0]


def test_grey_alone_is_no_oddity(tmp_path: Path):
    good, real = make_pictures(tmp_path / "good", 4), _photographs(tmp_path / "real")
    for path in (*good.iterdir(), *real.iterdir()):
        Image.open(path).convert("L").save(path)
    assert _odd(_load(good, lr=real)[1]) == []


@pytest.mark.parametrize("key", ["data.train", "data.lr"])
def test_too_few_pictures_are_refused_and_few_are_said(tmp_path: Path, key: str):
    counts = {"data.train": LEAST, "data.lr": LEAST} | {key: LEAST - 1}
    good = make_pictures(tmp_path / "good", counts["data.train"])
    real = _photographs(tmp_path / "real", counts["data.lr"])
    with pytest.raises(UsageError, match=rf"{key} = .*: 3 pictures to train on are too few"):
        _load(good, lr=real)
    _, messages = _load(make_pictures(tmp_path / "good", FEW), lr=_photographs(tmp_path / "real", FEW - 1))
    assert [text.split(" = ")[0] for text in messages if "pictures are few" in text] == ["data.lr"]


def test_without_photographs_there_is_nothing_to_learn(tmp_path: Path):
    with pytest.raises(UsageError, match=r"data\.lr is missing"):
        _load(make_pictures(tmp_path / "good", 4))
