"""CycleGAN's image pool: what is shown, what is kept, and that a stopped run goes on with the same pictures."""

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from upscale_cli.networks.image_pool import SIZE, ImagePool


def fakes(first: int, count: int) -> Tensor:
    """Pictures that are told apart by their level."""
    return torch.arange(first, first + count).float().reshape(-1, 1, 1, 1).expand(-1, 3, 2, 4).contiguous()


def levels(pictures: Tensor) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in pictures]


def step(pool: ImagePool, number: int, batch: int = 4) -> list[int]:
    return levels(pool.exchange(fakes(number * batch, batch), np.random.default_rng((7, number))))


def test_until_it_is_full_pictures_are_shown_as_they_come():
    pool = ImagePool(2, 4, size=6)
    assert step(pool, 0) == [0, 1, 2, 3]
    assert step(pool, 1)[:2] == [4, 5]
    assert int(pool.count) == 6
    assert set(levels(pool.images)) <= set(range(8))


def test_then_every_other_one_is_an_older_one():
    pool = ImagePool(2, 4)
    shown = [level for number in range(500) for level in step(pool, number)]
    old = sum(level != i for i, level in enumerate(shown))
    assert abs(old / (len(shown) - SIZE) - 0.5) < 0.05
    # Those that filled it were shown as they came, and once more when they left; no others twice, and none is lost.
    twice = {level for level, times in Counter(shown).items() if times > 1}
    assert twice <= set(range(SIZE))
    assert set(shown) | set(levels(pool.images)) == set(range(2000))


def test_an_older_one_has_waited_about_twice_the_pools_size():
    """It leaves with one chance in a hundred at each later picture."""
    pool = ImagePool(2, 4)
    shown = [level for number in range(1000) for level in step(pool, number)]
    waits = [i - level for i, level in enumerate(shown) if i > 1000 and level != i]
    assert 80 < np.mean(waits) < 120


def test_a_run_that_was_stopped_goes_on_the_same():
    whole, stopped = ImagePool(2, 4, size=6), ImagePool(2, 4, size=6)
    for number in range(5):
        assert step(whole, number) == step(stopped, number)
    resumed = ImagePool(2, 4, size=6)
    resumed.load_state_dict(stopped.state_dict())
    assert [step(resumed, number) for number in range(5, 20)] == [step(whole, number) for number in range(5, 20)]
    fresh = ImagePool(2, 4, size=6)
    assert [step(fresh, number) for number in range(5, 20)] != [step(resumed, number) for number in range(20, 35)]


def test_what_is_given_is_left_alone_and_has_no_gradient():
    pool, given = ImagePool(2, 4, size=1), fakes(0, 4).requires_grad_()
    shown = pool.exchange(given, np.random.default_rng(0))
    assert not shown.requires_grad
    assert levels(given) == [0, 1, 2, 3]
    assert list(pool.parameters()) == []
