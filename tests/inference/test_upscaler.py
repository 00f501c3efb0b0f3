"""Tiles make the whole picture, whatever the memory allows."""

import pytest
import torch
from fake_networks import FakeAttentionNetwork, FakeNetwork
from torch import Tensor

from upscale_cli.errors import ExitCode, ResourceError
from upscale_cli.inference import upscaler
from upscale_cli.inference.plan import CACHE_BYTES, STAGED_CACHE_BYTES, Plan, choose_tile
from upscale_cli.inference.tile_queue import SMALLEST_TILE
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale

CPU = torch.device("cpu")
PICTURE = torch.rand(1, 3, 41, 58, generator=torch.Generator().manual_seed(1))
REDO = Plan(tile=16, memory=0)
ACTIVE, INACTIVE = 0.2, 0.9


def enlarged(network: FakeNetwork, plan: Plan | None = None, picture: Tensor = PICTURE) -> tuple[Tensor, list[str]]:
    out = torch.full((1, 3, 2 * picture.shape[2], 2 * picture.shape[3]), torch.nan)

    def sink(box: Box, part: Tensor) -> None:
        out[:, :, box.top : box.bottom, box.left : box.right] = part

    return out, upscale(network, picture, sink, plan or Plan())


@pytest.mark.parametrize("level", [None, ACTIVE, INACTIVE])
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("plan", [Plan(16), Plan(25), Plan(5), REDO])
def test_tiles_give_the_whole_picture(level, ensemble, plan):
    whole, _ = enlarged(FakeNetwork(level), Plan(self_ensemble=ensemble))
    tiled, _ = enlarged(FakeNetwork(level), Plan(plan.tile, plan.memory, ensemble))
    torch.testing.assert_close(tiled, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("level", "plan", "passes"), [
    (ACTIVE, Plan(tile=16), 1),
    (ACTIVE, REDO, 2),
    (INACTIVE, REDO, 1),
    (None, REDO, 1),
])  # fmt: skip
def test_tiles_are_only_done_twice_where_the_guess_was_wrong(level, plan, passes):
    network = FakeNetwork(level)
    enlarged(network, plan)
    tiles = 3 * 4
    assert len(network.seen) == passes * tiles


def test_the_first_guess_is_replaced():
    """With no memory to keep partial results the sink gets every tile twice; the last counts."""
    given: list[tuple[Box, float]] = []
    upscale(FakeNetwork(ACTIVE), PICTURE, lambda box, part: given.append((box, float(part.mean()))), REDO)
    first, second = given[:12], given[12:]
    assert [box for box, _ in first] == [box for box, _ in second]
    assert all(before > after for (_, before), (_, after) in zip(first, second, strict=True))


def test_kept_results_reach_the_sink_once():
    boxes: list[Box] = []
    upscale(FakeNetwork(ACTIVE), PICTURE, lambda box, part: boxes.append(box), Plan(tile=16))
    assert len(boxes) == len(set(boxes)) == 12


@pytest.mark.parametrize("level", [None, ACTIVE, INACTIVE])
@pytest.mark.parametrize("ensemble", [False, True])
def test_where_each_tile_may_come_once_only_it_is_the_right_one(level, ensemble):
    given: list[tuple[Box, Tensor]] = []
    plan = Plan(tile=16, memory=0, self_ensemble=ensemble, once=True)
    upscale(FakeNetwork(level), PICTURE, lambda box, part: given.append((box, part)), plan)
    whole, _ = enlarged(FakeNetwork(level), Plan(self_ensemble=ensemble))
    assert len(given) == len({box for box, _ in given}) == 12
    for box, part in given:
        expected = whole[:, :, box.top : box.bottom, box.left : box.right]
        torch.testing.assert_close(part, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("plan", [Plan(tile=16), REDO, Plan(tile=16, memory=0, once=True)])
def test_progress_rises_to_one(plan):
    shares: list[float] = []
    upscale(FakeNetwork(INACTIVE), PICTURE, lambda *_: None, plan, shares.append)
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory: you tried ..."),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB, other allocations: 1.00 MB)"),
    MemoryError(),
])  # fmt: skip
@pytest.mark.parametrize("plan", [Plan(), Plan(tile=40, self_ensemble=True), Plan(tile=40, memory=0)])
def test_out_of_memory_goes_on_with_smaller_tiles(error, plan):
    expected, _ = enlarged(FakeNetwork(ACTIVE), plan)
    network = FakeNetwork(ACTIVE, capacity=500, error=error)
    got, remarks = enlarged(network, plan)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    said = [remark for remark in remarks if "out of memory" in remark]
    assert said
    assert len(said) == len(set(said)), "what was learned in the first pass holds in the second"


def test_out_of_memory_names_the_sizes():
    _, remarks = enlarged(FakeNetwork(capacity=500), Plan(tile=29))
    assert remarks == ["out of memory with tiles of 29 pixels: went on with 15"]


def test_what_was_done_before_memory_ran_out_is_kept():
    """The second of two tiles is a pixel wider than the first, and alone does not fit."""
    network, picture = FakeNetwork(capacity=16 * 21), torch.rand(1, 3, 16, 41)
    expected, _ = enlarged(FakeNetwork(), Plan(), picture)
    got, _ = enlarged(network, Plan(tile=21), picture)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    assert [shape[3] for shape in network.seen] == [21, 22, 12, 12, 12, 12]


def test_the_smallest_tile_that_does_not_fit_ends_the_picture():
    with pytest.raises(ResourceError, match=r"out of memory even with tiles of \d+ pixels") as caught:
        enlarged(FakeNetwork(capacity=20))
    assert caught.value.exit_code == ExitCode.RESOURCES
    assert caught.value.hint
    assert int(str(caught.value).split("tiles of ")[1].split()[0]) <= SMALLEST_TILE


def test_other_faults_are_not_taken_for_memory():
    fault = RuntimeError("Given groups=3, expected weight to be divisible by 3")
    with pytest.raises(RuntimeError, match="Given groups"):
        enlarged(FakeNetwork(capacity=500, error=fault))


def test_there_is_no_approximation_where_it_would_save_nothing():
    plan = Plan(16, local_statistics=True)
    got, remarks = enlarged(FakeNetwork(ACTIVE), plan)
    torch.testing.assert_close(got, enlarged(FakeNetwork(ACTIVE))[0], atol=1e-6, rtol=0)
    assert "--tile-statistics local changes nothing" in remarks[-1]


def test_remarks_of_the_network_are_handed_on():
    assert enlarged(FakeNetwork(INACTIVE))[1] == ["settled at 1.000"]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_turned_copies_run_together_where_their_frames_are_alike(monkeypatch, batch):
    monkeypatch.setattr(upscaler, "_batch_size", lambda *_: batch)
    network, picture = FakeNetwork(ACTIVE), torch.rand(1, 3, 48, 48)
    got, _ = enlarged(network, Plan(tile=16, self_ensemble=True), picture)
    monkeypatch.setattr(upscaler, "_batch_size", lambda *_: 1)
    expected, _ = enlarged(FakeNetwork(ACTIVE), Plan(self_ensemble=True), picture)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    assert max(shape[0] for shape in network.seen) == batch
    assert sum(shape[0] for shape in network.seen) == 8 * 9


def test_batches_are_as_large_as_memory_allows_except_on_a_cpu():
    plan = Plan(tile=16, memory=1000 * 18 * 18 * 5)  # 16 and a halo of 1 on either side
    elsewhere = torch.empty(1, 3, 40, 40, device="meta")
    assert upscaler._batch_size(FakeNetwork(), elsewhere, plan) == 5
    assert upscaler._batch_size(FakeNetwork(), elsewhere, Plan(tile=16, memory=1)) == 1
    assert upscaler._batch_size(FakeNetwork(), PICTURE, plan) == 1


@pytest.mark.parametrize(("memory", "expected"), [(1 << 40, 518), (4 * 100 * 100 * 1000, 100), (1000, 16), (0, 16)])
def test_tile_by_memory_and_cache(memory, expected):
    """On a CPU no more than the cache; a network byte here is a thousandth of a pixel."""
    assert choose_tile(FakeNetwork(), CPU, 5000, 5000, memory) == expected
    assert 1000 * expected**2 <= max(CACHE_BYTES, 1000 * SMALLEST_TILE**2)


def test_tiles_that_hardly_overlap_are_small_on_a_cpu():
    side = choose_tile(FakeAttentionNetwork(), CPU, 5000, 5000, 1 << 40)
    assert 1000 * side**2 <= STAGED_CACHE_BYTES < 1000 * (side + 1) ** 2
    assert choose_tile(FakeAttentionNetwork(), torch.device("cuda"), 5000, 5000, 1 << 40) == 0


def test_a_picture_that_fits_is_one_tile():
    assert choose_tile(FakeNetwork(), CPU, 200, 250, 1 << 40) == 0
    assert choose_tile(FakeNetwork(), CPU, 200, 550, 1 << 40) > 0
    assert choose_tile(FakeNetwork(), torch.device("cuda"), 5000, 5000, 1 << 40) == 0
