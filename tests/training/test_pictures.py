"""Folders into pictures in memory: what is found, paired, left out and refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training_runs import make_pictures

from upscale_cli.config.toml_file import parse
from upscale_cli.errors import PictureError, UsageError
from upscale_cli.training.pictures import Pictures, load_pictures
from upscale_cli.training.settings import DataSettings


def _load(
    folder: Path, message: Callable[[str], None] = lambda text: None, patch: int = 8, scale: int = 2, **values: object
) -> Pictures:
    data = parse(DataSettings, {"train": folder} | values, "recipe.toml")
    return load_pictures(data, scale, patch, message)


def _halves(folder: Path, of: Path) -> Path:
    """Low-resolution partners, under another suffix, of the originals' sides cut to even ones."""
    folder.mkdir()
    for path in of.iterdir():
        with Image.open(path) as picture:
            width, height = (side // 2 for side in picture.size)
            picture.crop((0, 0, 2 * width, 2 * height)).reduce(2).save(folder / f"{path.stem}.bmp")
    return folder


def test_pictures_of_any_depth_and_colour_are_read_as_rgb8_cut_to_the_scale(tmp_path: Path):
    ramp = np.arange(64 * 66, dtype=np.uint16).reshape(64, 66) * 15
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "grey.png")
    (tmp_path / ".hidden.png").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("not a picture")
    deep, grey = (pair.hr for pair in _load(tmp_path, scale=4).train)
    for pixels in (deep, grey):
        assert pixels.shape == (64, 64, 3)
        assert pixels.dtype == np.uint8
    assert np.array_equal(deep[:, :, 1], np.rint(ramp[:, :64] / 257))
    assert np.array_equal(grey[:, :, 2], ramp[:, :64] >> 8)


def test_every_format_that_is_read_is_trained_on(tmp_path: Path):
    for suffix in ("png", "jpg", "gif", "tif", "pbm"):
        mode = "1" if suffix == "pbm" else "RGB"
        Image.fromarray(np.full((32, 32, 3), 7, np.uint8)).convert(mode).save(tmp_path / f"a{suffix}.{suffix}")
    assert len(_load(tmp_path).train) == 5


def test_held_out_pictures_are_never_trained_on(tmp_path: Path):
    folder = make_pictures(tmp_path / "in")
    Image.fromarray(np.full((96, 96, 3), 7, np.uint8)).save(folder / "b.bmp")
    every, pictures = _load(folder), _load(folder, holdout=["b"])
    assert (len(every.train), len(every.validation)) == (4, 0)
    assert (len(pictures.train), len(pictures.validation)) == (2, 2)
    assert not any(np.array_equal(held.hr, one.hr) for held in pictures.validation for one in pictures.train)


def test_pictures_with_partners_are_paired_by_name(tmp_path: Path):
    folder = make_pictures(tmp_path / "in", side=97)
    pictures = _load(folder, lr=_halves(tmp_path / "lr", folder), holdout=["c"])
    assert (len(pictures.train), len(pictures.validation)) == (2, 1)
    for hr, lr in (*pictures.train, *pictures.validation):
        assert lr is not None
        assert (hr.shape, lr.shape) == ((96, 96, 3), (48, 48, 3))
        means = hr.reshape(48, 2, 48, 2, 3).mean((1, 3))
        assert np.abs(means - lr).max() <= 1


def test_validation_has_a_folder_of_its_own_beside_what_is_held_out(tmp_path: Path):
    folder, other = make_pictures(tmp_path / "in"), make_pictures(tmp_path / "other", 2, side=40)
    degraded = _load(folder, holdout=["a"], validation=other).validation
    assert [pair.lr is None for pair in degraded] == [True, True, True]
    paired = _load(folder, validation=other, validation_lr=_halves(tmp_path / "small", other)).validation
    assert [pair.lr is None for pair in paired] == [False, False]


def test_source_photographs_keep_their_sides(tmp_path: Path):
    pictures = _load(make_pictures(tmp_path / "in"), source=make_pictures(tmp_path / "real", 2, side=11))
    assert [pixels.shape for pixels in pictures.source] == [(11, 11, 3)] * 2


def test_what_there_is_is_said(tmp_path: Path):
    messages: list[str] = []
    folder, source = make_pictures(tmp_path / "in", 5, side=200), make_pictures(tmp_path / "real", 1)
    _load(folder, messages.append, holdout=["a"], source=source)
    assert messages == [
        "pictures: 4 to train on (0.2 megapixels), 1 to validate on, 1 without partners; 1 MB in memory"
    ]
    _load(folder, messages.append)
    assert "none to validate on" in messages[-1]


def test_a_few_that_cannot_be_read_are_left_out_and_said(tmp_path: Path):
    folder = make_pictures(tmp_path / "in", 20)
    broken = folder / "e.png"
    broken.write_bytes(broken.read_bytes()[:200])
    messages: list[str] = []
    pictures = _load(folder, messages.append)
    assert len(pictures.train) == 19
    assert messages[0].startswith(f"data.train = {folder}: 1 of 20 pictures cannot be read and are left out: {broken}")


def test_more_than_a_few_that_cannot_be_read_are_refused(tmp_path: Path):
    folder = make_pictures(tmp_path / "in", 20)
    for name in "ag":
        (folder / f"{name}.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"2 of 20 pictures cannot be read: .*a\.png.*g\.png"):
        _load(folder)


def test_a_pair_is_left_out_with_its_unreadable_half(tmp_path: Path):
    folder = make_pictures(tmp_path / "in", 20)
    small = _halves(tmp_path / "lr", folder)
    (small / "b.bmp").write_bytes(b"not a picture")
    messages: list[str] = []
    assert len(_load(folder, messages.append, lr=small).train) == 19
    assert "b.bmp" in messages[0]


@pytest.mark.parametrize(
    "values, patch, words",
    [
        ({"holdout": ["a", "nobody"]}, 8, "data.holdout: nobody not in"),
        ({"holdout": ["a", "b", "c", "d"]}, 8, "no pictures there to train on"),
        ({}, 64, r"smaller than the 144 pixels a side .*: a.png \(96x96\), b.png .* and 1 more"),
        ({"lr": "lr"}, 49, "smaller than the 98 pixels a side"),
        (
            {"source": "tiny"},
            8,
            r"data.source = .*: smaller than the 8 pixels a side that a patch needs: a.png \(9x7\)",
        ),
        ({"source": "empty"}, 8, "data.source = .*: no pictures there"),
        ({"lr": "empty"}, 8, "data.lr = .*: no pictures there"),
        ({"lr": "fewer"}, 8, "data.lr = .*: no partner for b, c"),
        ({"lr": "more"}, 8, "data.train = .*: no partner for e"),
        ({"lr": "twice"}, 8, "data.lr = .*: several pictures are called a"),
        ({"lr": "in"}, 8, "not of their originals' size over 2: a.png is 96x96, a.png needs 48x48"),
        ({"lr": "nowhere"}, 8, "'lr' = .*there is no such folder"),
        ({"validation_lr": "lr"}, 8, "validation_lr needs validation"),
        ({"lr": "lr", "plain_share": 0.1}, 8, "plain_share needs the recipe's degradation"),
        ({"mixup": 1.5}, 8, "'mixup' = 1.5"),
    ],
)
def test_data_that_cannot_be_trained_on_is_a_sentence(
    tmp_path: Path, values: dict[str, object], patch: int, words: str
):
    folder = make_pictures(tmp_path / "in", 4)
    small = _halves(tmp_path / "lr", folder)
    for name in ("fewer", "more", "twice", "empty", "tiny"):
        (tmp_path / name).mkdir()
    for path in small.iterdir():
        places = {"fewer": path.stem in "ad", "more": True, "twice": True}
        for name in (name for name, wanted in places.items() if wanted):
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "more" / "e.bmp").write_bytes((small / "a.bmp").read_bytes())
    Image.new("RGB", (48, 48)).save(tmp_path / "twice" / "a.png")
    Image.new("RGB", (9, 7)).save(tmp_path / "tiny" / "a.png")
    given = {key: tmp_path / value if isinstance(value, str) else value for key, value in values.items()}
    with pytest.raises(UsageError, match=words) as caught:
        _load(folder, patch=patch, **given)
    assert "\n" not in caught.value.message


def test_an_empty_folder_and_one_broken_picture_are_named(tmp_path: Path):
    with pytest.raises(UsageError, match=str(tmp_path)):
        _load(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"broken\.png"):
        _load(tmp_path)
