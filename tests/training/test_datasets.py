"""Pictures, and batches that depend on nothing but the seed and the step."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import make_pictures

from upscale_cli.degradation.operations import downsample
from upscale_cli.errors import PictureError, UsageError
from upscale_cli.training.datasets import Pixels, draw_batch, drawn_ahead, load_pictures
from upscale_cli.training.settings import DataSettings


def _halved(hr: Pixels, rng: np.random.Generator) -> Pixels:
    return downsample(hr, 2, "box")


def _noise(hr: Pixels, rng: np.random.Generator) -> Pixels:
    return (downsample(hr, 2, "box") // 2 + rng.integers(0, 100, 3)).astype(np.uint8)


def _data(folder: Path, **values: object) -> DataSettings:
    return DataSettings.model_validate({"train": folder} | values)


def test_batches_are_the_same_for_the_same_seed_and_step_only(tmp_path: Path):
    pictures = load_pictures(_data(make_pictures(tmp_path / "in")), 2, 8).train
    drawn = {(seed, step): draw_batch(pictures, seed, step, 3, 8, 2, _noise) for seed in (0, 1) for step in (0, 1, 2)}
    for (seed, step), batch in drawn.items():
        again = draw_batch(pictures, seed, step, 3, 8, 2, _noise)
        assert torch.equal(batch.lr, again.lr)
        assert torch.equal(batch.hr, again.hr)
    assert len({batch.hr.numpy().tobytes() for batch in drawn.values()}) == len(drawn)
    sample = drawn[0, 0].hr
    assert len({sample[i].numpy().tobytes() for i in range(3)}) == 3


def test_low_and_high_resolution_show_the_same_place(tmp_path: Path):
    pictures = load_pictures(_data(make_pictures(tmp_path / "in")), 2, 8).train
    batch = draw_batch(pictures, 0, 5, 16, 8, 2, _halved)
    assert batch.lr.shape == (16, 3, 8, 8)
    assert batch.hr.shape == (16, 3, 16, 16)
    assert batch.hr.dtype == torch.float32
    assert 0 <= batch.hr.min() < batch.hr.max() <= 1
    means = torch.nn.functional.avg_pool2d(batch.hr, 2)
    assert (means - batch.lr).abs().max() <= 1.01 / 255  # the kernel rounds after each direction


def test_all_eight_orientations_come_up(tmp_path: Path):
    corner = np.zeros((64, 64, 3), np.uint8)
    corner[:, :, 0] = np.linspace(0, 255, 64, dtype=np.uint8)[None]
    corner[:, :, 1] = np.linspace(0, 200, 64, dtype=np.uint8)[:, None]
    batch = draw_batch([corner], 0, 0, 100, 24, 2, _halved)
    red, green = (batch.hr[:, colour] for colour in (0, 1))
    across = torch.stack([c[:, 0, -1] - c[:, 0, 0] for c in (red, green)], 1).sign()
    down = torch.stack([c[:, -1, 0] - c[:, 0, 0] for c in (red, green)], 1).sign()
    assert len({tuple(row) for row in torch.cat([across, down], 1).int().tolist()}) == 8


def test_pictures_of_any_depth_and_colour_are_read_as_rgb8_cut_to_the_scale(tmp_path: Path):
    ramp = np.arange(64 * 66, dtype=np.uint16).reshape(64, 66) * 15
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(tmp_path / "grey.png")
    (tmp_path / ".hidden.png").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("not a picture")
    deep, grey = load_pictures(_data(tmp_path), 4, 8).train
    for pixels in (deep, grey):
        assert pixels.shape == (64, 64, 3)
        assert pixels.dtype == np.uint8
    assert np.array_equal(deep[:, :, 1], np.rint(ramp[:, :64] / 257))
    assert np.array_equal(grey[:, :, 2], ramp[:, :64] >> 8)


def test_held_out_pictures_are_never_trained_on(tmp_path: Path):
    folder = make_pictures(tmp_path / "in")
    Image.fromarray(np.full((96, 96, 3), 7, np.uint8)).save(folder / "b.bmp")
    every = load_pictures(_data(folder), 2, 8)
    pictures = load_pictures(_data(folder, holdout=["b"]), 2, 8)
    assert (len(every.train), len(every.holdout)) == (4, 0)
    assert (len(pictures.train), len(pictures.holdout)) == (2, 2)
    assert not any(np.array_equal(held, trained) for held in pictures.holdout for trained in pictures.train)


@pytest.mark.parametrize(
    "values, patch, words",
    [
        ({"holdout": ["a", "nobody"]}, 8, "data.holdout: nobody not in"),
        ({"holdout": ["a", "b", "c"]}, 8, "no pictures there to train on"),
        ({}, 64, "a.png: 96x96 pixels, a patch needs 144 a side"),
    ],
)
def test_data_that_cannot_be_trained_on_is_a_sentence(
    tmp_path: Path, values: dict[str, object], patch: int, words: str
):
    folder = make_pictures(tmp_path / "in")
    with pytest.raises(UsageError, match=words):
        load_pictures(_data(folder, **values), 2, patch)


def test_an_empty_folder_and_a_broken_picture_are_named(tmp_path: Path):
    with pytest.raises(UsageError, match=str(tmp_path)):
        load_pictures(_data(tmp_path), 2, 8)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"broken\.png"):
        load_pictures(_data(tmp_path), 2, 8)


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_draws_come_in_order_whoever_is_first(workers: int):
    def draw(step: int) -> int:
        time.sleep(0.003 * (step % 3))
        return step * step

    assert list(drawn_ahead(draw, 4, 30, workers)) == [step * step for step in range(4, 30)]
    assert list(drawn_ahead(draw, 4, 4, workers)) == []


def test_closing_stops_the_drawing_threads():
    drawn = []
    draws = drawn_ahead(drawn.append, 0, 1_000_000, 2)
    next(draws)
    draws.close()
    count = len(drawn)
    assert count <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("draw")]


def test_a_fault_in_a_drawing_thread_reaches_the_run():
    def draw(step: int) -> int:
        if step == 3:
            raise PictureError("gone")
        return step

    draws = drawn_ahead(draw, 0, 10, 2)
    with pytest.raises(PictureError, match="gone"):
        list(draws)


def test_plain_samples_are_at_most_two_colours_of_any_kind():
    photograph = np.full((80, 80, 3), 7, np.uint8)
    batch = draw_batch([photograph], 0, 0, 40, 8, 2, _halved, plain_share=1.0)
    colours = [sample.flatten(1).unique(dim=1).shape[1] for sample in batch.hr]
    assert set(colours) == {1, 2}
    assert float(batch.hr.min()) < 0.1
    assert float(batch.hr.max()) > 0.9


def test_by_default_no_sample_is_plain():
    photograph = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    some = draw_batch([photograph], 0, 0, 40, 8, 2, _halved, plain_share=0.5).hr
    none = draw_batch([photograph], 0, 0, 40, 8, 2, _halved).hr
    same = [bool((a == b).all()) for a, b in zip(some, none, strict=True)]
    assert not all(same)
    assert (none == draw_batch([photograph], 0, 0, 40, 8, 2, _halved, plain_share=0.0).hr).all()
