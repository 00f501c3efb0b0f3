"""Batches that depend on nothing but the seed, the step and the samples asked for."""

import math
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from upscale_cli.degradation.operations import downsample
from upscale_cli.errors import PictureError
from upscale_cli.training.datasets import Batch, Degrade, draw_batch, drawn_ahead
from upscale_cli.training.pictures import Pair, Pictures, Pixels
from upscale_cli.training.settings import DataSettings


def _halved(hr: Pixels, rng: np.random.Generator) -> Pixels:
    return downsample(hr, 2, "box")


def _noise(hr: Pixels, rng: np.random.Generator) -> Pixels:
    return (downsample(hr, 2, "box") // 2 + rng.integers(0, 100, 3)).astype(np.uint8)


def _noise_and_crop(hr: Pixels, rng: np.random.Generator) -> Pixels:
    return (hr[::2, ::2] // 2 + rng.integers(0, 100, 3)).astype(np.uint8)


def _made_up(*sides: tuple[int, int]) -> list[Pair]:
    return [Pair(np.random.default_rng(n).integers(0, 256, (*side, 3), np.uint8)) for n, side in enumerate(sides)]


def _draw(
    pairs: Sequence[Pair],
    seed: int = 0,
    step: int = 0,
    samples: range = range(16),
    degrade: Degrade = _halved,
    source: Sequence[Pixels] = (),
    **data: float,
) -> Batch:
    """Patches of 8, scale 2."""
    # Folders have no part in drawing.
    settings = DataSettings.model_construct(train=Path(), plain_share=0.0, mixup=0.0).model_copy(update=data)
    return draw_batch(Pictures(pairs, (), source), settings, seed, step, samples, 8, 2, degrade)


@pytest.mark.parametrize(
    "plain_share, step, lr, hr",
    [
        (0.0, 0, 1446180885, 2745550998),
        (0.0, 1, 738621538, 324241657),
        (0.5, 0, 1984101124, 2139201086),
        (0.5, 1, 3186311993, 591709106),
    ],
)
def test_the_draws_are_those_of_before(plain_share: float, step: int, lr: int, hr: int):
    """What models were trained on: CRC-32 of the batches, made before pairs, mixtures and sources could be drawn."""
    batch = _draw(_made_up((60, 70), (61, 70), (62, 70)), 7, step, range(4), _noise_and_crop, plain_share=plain_share)
    assert (zlib.crc32(batch.lr.numpy().tobytes()), zlib.crc32(batch.hr.numpy().tobytes())) == (lr, hr)


def test_batches_are_the_same_for_the_same_seed_and_step_only():
    pairs = _made_up((96, 96), (80, 64))
    drawn = {(seed, step): _draw(pairs, seed, step, range(3), _noise) for seed in (0, 1) for step in (0, 1, 2)}
    for (seed, step), batch in drawn.items():
        again = _draw(pairs, seed, step, range(3), _noise)
        assert torch.equal(batch.lr, again.lr)
        assert torch.equal(batch.hr, again.hr)
    assert len({batch.hr.numpy().tobytes() for batch in drawn.values()}) == len(drawn)
    sample = drawn[0, 0].hr
    assert len({sample[i].numpy().tobytes() for i in range(3)}) == 3


def test_two_processes_draw_together_what_one_draws():
    pairs, source = _made_up((96, 96), (80, 64)), [np.random.default_rng(9).integers(0, 256, (20, 30, 3), np.uint8)]

    def draw(samples: range) -> Batch:
        return _draw(pairs, 0, 3, samples, _noise, source, mixup=0.5, plain_share=0.2)

    whole, first, second = draw(range(16)), draw(range(8)), draw(range(8, 16))
    for side in ("lr", "hr", "source"):
        halves = torch.cat([getattr(first, side), getattr(second, side)])
        assert torch.equal(getattr(whole, side), halves)


def test_low_and_high_resolution_show_the_same_place():
    smooth = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8), 8, 0), 8, 1)
    batch = _draw([Pair(smooth)], step=5)
    assert batch.lr.shape == (16, 3, 8, 8)
    assert batch.hr.shape == (16, 3, 16, 16)
    assert batch.hr.dtype == torch.float32
    assert batch.source is None
    assert 0 <= batch.hr.min() < batch.hr.max() <= 1
    assert (avg_pool2d(batch.hr, 2) - batch.lr).abs().max() <= 1.01 / 255  # the kernel rounds after each direction


def _refuse(hr: Pixels, rng: np.random.Generator) -> Pixels:
    raise AssertionError("there is a partner")


def test_partners_are_cut_at_the_same_place_and_nothing_is_degraded():
    lr = np.random.default_rng(0).integers(0, 256, (9, 31, 3), np.uint8)  # as small as a patch allows, but for one row
    pairs = [Pair(np.repeat(np.repeat(lr, 2, 0), 2, 1), lr)]
    batch = _draw(pairs, samples=range(60), degrade=_refuse)
    assert torch.equal(interpolate(batch.lr, scale_factor=2, mode="nearest"), batch.hr)
    assert len({patch.numpy().tobytes() for patch in batch.lr}) > 50  # places and orientations


def test_a_mixture_is_of_two_pairs_with_one_weight():
    white = [Pair(np.full((48, 48, 3), level, np.uint8)) for level in (0, 255)]
    batch = _draw(white, samples=range(400), mixup=1.0)
    weights = batch.hr[:, 0, 0, 0]
    assert torch.allclose(batch.hr, weights[:, None, None, None].expand_as(batch.hr), atol=1e-6)
    assert torch.allclose(batch.lr, weights[:, None, None, None].expand_as(batch.lr), atol=1e-6)
    between = weights[(weights > 0) & (weights < 1)]
    assert 150 < len(between) < 250  # half of the pairs are two of the same colour
    assert between.mean().item() == pytest.approx(0.5, abs=0.06)
    assert between.std().item() == pytest.approx(math.sqrt(1 / (4 * (2 * 1.2 + 1))), abs=0.04)  # Beta(1.2, 1.2)


def test_mixup_is_of_its_share_and_leaves_the_other_samples_as_they_were():
    pairs = _made_up((96, 96), (80, 64))
    none, some = _draw(pairs, samples=range(200)), _draw(pairs, samples=range(200), mixup=0.3)
    same = [torch.equal(a, b) for a, b in zip(none.hr, some.hr, strict=True)]
    assert 0.6 < sum(same) / 200 < 0.8
    assert same == [torch.equal(a, b) for a, b in zip(none.lr, some.lr, strict=True)]


def test_source_patches_are_crops_of_photographs_and_change_nothing_else():
    pairs = _made_up((96, 96))
    ramp = np.zeros((8, 20, 3), np.uint8)
    ramp[:, :, 0] = np.arange(20) * 10
    ramp[:, :, 1] = np.arange(8)[:, None] * 30
    batch = _draw(pairs, source=[ramp], samples=range(60))
    assert batch.source is not None
    assert batch.source.shape == (60, 3, 8, 8)
    assert torch.equal(batch.hr, _draw(pairs, samples=range(60)).hr)
    red = (batch.source[:, 0] * 255).round()
    assert set(red.unique().tolist()) <= set(range(0, 200, 10))
    corners = {(float(r[0, 0] - r[0, -1]), float(r[0, 0] - r[-1, 0])) for r in red}
    assert corners == {(70.0, 0.0), (-70.0, 0.0), (0.0, 70.0), (0.0, -70.0)}
    assert batch.to(torch.device("cpu")).source is not None


def test_all_eight_orientations_come_up():
    corner = np.zeros((64, 64, 3), np.uint8)
    corner[:, :, 0] = np.linspace(0, 255, 64, dtype=np.uint8)[None]
    corner[:, :, 1] = np.linspace(0, 200, 64, dtype=np.uint8)[:, None]
    batch = _draw([Pair(corner)], samples=range(100))
    red, green = (batch.hr[:, colour] for colour in (0, 1))
    across = torch.stack([c[:, 0, -1] - c[:, 0, 0] for c in (red, green)], 1).sign()
    down = torch.stack([c[:, -1, 0] - c[:, 0, 0] for c in (red, green)], 1).sign()
    assert len({tuple(row) for row in torch.cat([across, down], 1).int().tolist()}) == 8


def test_plain_samples_are_at_most_two_colours_of_any_kind():
    photograph = Pair(np.full((80, 80, 3), 7, np.uint8))
    batch = _draw([photograph], samples=range(40), plain_share=1.0)
    colours = [sample.flatten(1).unique(dim=1).shape[1] for sample in batch.hr]
    assert set(colours) == {1, 2}
    assert float(batch.hr.min()) < 0.1
    assert float(batch.hr.max()) > 0.9


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
