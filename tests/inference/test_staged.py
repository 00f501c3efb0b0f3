"""Blocks that advance together make the whole picture, wherever their feature maps lie."""

import os
import platform
import sys
from pathlib import Path

import psutil
import pytest
import torch
from fake_networks import FakeAttentionNetwork
from torch import Tensor

from upscale_cli.errors import ExitCode, ResourceError
from upscale_cli.inference.feature_store import FeatureStore, choose_place, spill_folder
from upscale_cli.inference.network import StagedNetwork
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.staged import _busiest, held_bytes, run_whole
from upscale_cli.inference.tiling import Box
from upscale_cli.inference.upscaler import upscale

PICTURE = torch.rand(1, 3, 41, 58, generator=torch.Generator().manual_seed(1))
# A corner of its own, so that no tile has the whole picture's means.
PICTURE[:, 0, :12, :12] = 0
IN_FILE = 0
LINUX = tuple(map(int, platform.release().split(".")[:2])) if sys.platform.startswith("linux") else ()
LEVEL = 1 / 255


@pytest.fixture(autouse=True)
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def enlarged(network: StagedNetwork, plan: Plan | None = None, picture: Tensor = PICTURE) -> tuple[Tensor, list[str]]:
    out = torch.full((1, 3, 2 * picture.shape[2], 2 * picture.shape[3]), torch.nan)

    def sink(box: Box, part: Tensor) -> None:
        assert torch.isnan(out[:, :, box.top : box.bottom, box.left : box.right]).all(), "a tile came twice"
        out[:, :, box.top : box.bottom, box.left : box.right] = part

    return out, upscale(network, picture, sink, plan or Plan())


@torch.inference_mode()
def written_plainly(picture: Tensor) -> Tensor:
    """FakeAttentionNetwork without feature maps or tiles."""
    from fake_networks import KERNEL

    def convolve(x: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(x, KERNEL.expand(3, 1, 3, 3), padding=1, groups=3)

    head = body = convolve(picture)
    for _ in range(2):
        deep = convolve(convolve(body).relu())
        body = body + deep * torch.sigmoid(20 * deep.double().mean((2, 3), keepdim=True) - 5).float()
    x = convolve(head + convolve(body)).sigmoid()
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("memory", [2**30, IN_FILE])
@pytest.mark.parametrize("tile", [0, 16, 25, 5, 57])
def test_tiles_give_the_whole_picture(ensemble, memory, tile):
    expected = written_plainly(PICTURE)
    if ensemble:
        turned = [torch.rot90(x, k, (2, 3)) for k in range(4) for x in (PICTURE, PICTURE.flip(3))]
        backs = [torch.rot90(written_plainly(x), -(n // 2), (2, 3)) for n, x in enumerate(turned)]
        expected = torch.stack([back.flip(3) if n % 2 else back for n, back in enumerate(backs)]).mean(0)
    got, _ = enlarged(FakeAttentionNetwork(), Plan(tile, memory, ensemble))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("top", "left"), [(0, 7), (5, 0), (9, 3)])
def test_a_tile_is_the_same_wherever_it_begins(top, left):
    picture = PICTURE[:, :, top:, left:]
    got, _ = enlarged(FakeAttentionNetwork(), Plan(16), picture)
    torch.testing.assert_close(got, written_plainly(picture), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (2, 3), (17, 33)])
def test_thin_pictures(height, width):
    picture = PICTURE[:, :, :height, :width]
    torch.testing.assert_close(
        enlarged(FakeAttentionNetwork(), Plan(16), picture)[0], written_plainly(picture), atol=1e-6, rtol=0
    )


def test_run_whole_is_the_whole_picture():
    got = run_whole(FakeAttentionNetwork(), PICTURE)
    torch.testing.assert_close(got, written_plainly(PICTURE), atol=1e-6, rtol=0)


def test_the_picture_is_left_as_it_was():
    picture = PICTURE.clone()
    enlarged(FakeAttentionNetwork(), Plan(16, self_ensemble=True), picture)
    assert torch.equal(picture, PICTURE)


@pytest.mark.parametrize("plan", [Plan(), Plan(16), Plan(16, IN_FILE, True), Plan(16, local_statistics=True)])
def test_progress_rises_to_one(plan):
    shares: list[float] = []
    upscale(FakeAttentionNetwork(), PICTURE, lambda *_: None, plan, shares.append)
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == pytest.approx(1)
    assert len(shares) >= 5 or plan.local_statistics


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory: you tried ..."),
])  # fmt: skip
@pytest.mark.parametrize("plan", [Plan(), Plan(40, IN_FILE), Plan(40, self_ensemble=True)])
def test_out_of_memory_goes_on_with_smaller_tiles(error, plan):
    expected, _ = enlarged(FakeAttentionNetwork(), Plan(self_ensemble=plan.self_ensemble))
    network = FakeAttentionNetwork(capacity=500, error=error)
    got, remarks = enlarged(network, plan)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    said = [remark for remark in remarks if "out of memory" in remark]
    assert said
    assert len(said) == len(set(said)), "what was learned in one step holds in the next, and for the other copies"


def test_the_smallest_tile_that_does_not_fit_ends_the_picture():
    with pytest.raises(ResourceError, match="out of memory even with tiles"):
        enlarged(FakeAttentionNetwork(capacity=20))


def test_other_faults_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="Given groups"):
        enlarged(FakeAttentionNetwork(capacity=20, error=RuntimeError("Given groups=3, expected weight ...")))


def test_features_that_do_not_fit_go_to_a_file_that_is_gone(spill):
    _, remarks = enlarged(FakeAttentionNetwork(), Plan(16, IN_FILE))
    assert any("MiB of features do not fit" in remark and str(spill) in remark for remark in remarks)
    with pytest.raises(RuntimeError, match="broken"):
        enlarged(FakeAttentionNetwork(capacity=1, error=RuntimeError("broken")), Plan(16, IN_FILE))
    assert list(spill.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="there the file has a name, and goes with the process")
def test_the_file_has_no_name_even_while_it_is_used(spill):
    """So that nothing is left of it, whatever ends the process."""
    seen: list[list[Path]] = []
    upscale(FakeAttentionNetwork(), PICTURE, lambda *_: seen.append(list(spill.iterdir())), Plan(16, IN_FILE))
    assert seen == [[]] * 12


def test_no_more_than_the_feature_maps_that_were_announced(monkeypatch):
    """Three of 3 features at once; and in the ensemble the sum of outputs."""
    made: list[int] = []
    new = FeatureStore._new

    def counted(self: FeatureStore, size: int, dtype: torch.dtype) -> Tensor:
        made.append(size * dtype.itemsize)
        return new(self, size, dtype)

    monkeypatch.setattr(FeatureStore, "_new", counted)
    for ensemble in (False, True):
        made.clear()
        plan = Plan(16, self_ensemble=ensemble)
        enlarged(FakeAttentionNetwork(), plan)
        assert sum(made) == held_bytes(FakeAttentionNetwork(), 41, 58, plan)


def test_a_full_disk_is_said_with_its_sizes(monkeypatch, spill):
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(ResourceError, match=r"no room for 0\.0 GiB of features, [\d.]+ are free") as caught:
        enlarged(FakeAttentionNetwork(), Plan(16, IN_FILE))
    assert str(spill) in caught.value.message
    assert caught.value.exit_code == ExitCode.RESOURCES
    assert caught.value.hint


def test_a_folder_that_cannot_be_used_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(ResourceError, match="missing: no temporary file: No such file"):
        enlarged(FakeAttentionNetwork(), Plan(16, IN_FILE))


def test_tmpdir_says_where(monkeypatch, spill):
    assert spill_folder() == spill
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr("tempfile.tempdir", None)
    assert spill_folder() != spill
    assert spill_folder().is_dir()


def test_features_stay_in_memory_as_long_as_they_fit_beside_tiles():
    assert choose_place(750, 1000, torch.device("cpu")) == "memory"
    assert choose_place(751, 1000, torch.device("cpu")) == "file"


def test_what_is_given_back_is_used_again():
    store = FeatureStore("memory", torch.device("cpu"))
    values, give_back = store.take(4, 5, 7, torch.float32)
    assert values.shape == (1, 4, 5, 7)
    assert values.is_contiguous(memory_format=torch.channels_last)
    other, _ = store.take(4, 5, 7, torch.float32)
    assert other.data_ptr() != values.data_ptr()
    give_back()
    turned, _ = store.take(4, 7, 5, torch.float32)
    assert turned.data_ptr() == values.data_ptr()


def test_own_means_change_the_picture_and_are_said_to():
    exact, _ = enlarged(FakeAttentionNetwork())
    local, remarks = enlarged(FakeAttentionNetwork(), Plan(20, local_statistics=True))
    difference = (local - exact).abs() / LEVEL
    assert difference.max() > 1
    # 41 x 58 pixels in tiles of 20: 60 x 60 are the whole of it
    assert remarks == [
        f"each tile took its own means: up to {difference.max():.1f} of 255 levels, {difference.mean():.2f} on "
        "average, from the exact result"
    ]


def test_own_means_of_a_large_picture_are_measured_in_its_middle_and_where_it_varies_most():
    _, remarks = enlarged(FakeAttentionNetwork(), Plan(16, local_statistics=True))
    assert "of 48 x 41 pixels in the middle and as many of another part; elsewhere it may be more" in remarks[-1]
    plain = torch.full((1, 3, 100, 120), 0.5)
    plain[:, :, 70:, 80:] = torch.rand(3, 30, 40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(_busiest(plain, 40), plain[:, :, 60:, 80:])


@pytest.mark.parametrize("ensemble", [False, True])
def test_own_means_are_the_only_thing_that_changes(ensemble):
    """Convolutions that reach no further than the tiles overlap come out the same."""
    plan = Plan(20, self_ensemble=ensemble, local_statistics=True)
    local, remarks = enlarged(FakeAttentionNetwork(local=True), plan)
    exact, _ = enlarged(FakeAttentionNetwork(local=True), Plan(self_ensemble=ensemble))
    torch.testing.assert_close(local, exact, atol=1e-6, rtol=0)
    assert "up to 0.0 of 255 levels" in remarks[-1]


def test_a_picture_in_one_piece_has_only_its_own_means():
    exact, _ = enlarged(FakeAttentionNetwork())
    local, remarks = enlarged(FakeAttentionNetwork(), Plan(0, local_statistics=True))
    assert torch.equal(local, exact)
    assert remarks == []


def test_own_means_too_go_on_where_memory_runs_out():
    expected, said = enlarged(FakeAttentionNetwork(), Plan(29, local_statistics=True))
    network = FakeAttentionNetwork(capacity=900)
    got, remarks = enlarged(network, Plan(29, local_statistics=True))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    assert remarks == said


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_features_are_kept_in_the_format_they_come_in(dtype):
    class Half(FakeAttentionNetwork):
        def _convolve(self, x: Tensor, edges) -> Tensor:
            return super()._convolve(x.float(), edges).to(dtype)

        def pixels(self, features: Tensor, edges) -> Tensor:
            return super().pixels(features, edges).float()

    tiled, whole = (enlarged(Half(), plan)[0] for plan in (Plan(16, IN_FILE), Plan()))
    assert 0 < (whole - written_plainly(PICTURE)).abs().max() < 4 * LEVEL
    assert (tiled - whole).abs().max() < 2 * LEVEL


@pytest.mark.skipif(not LINUX, reason="asks Linux what of the file is in memory")
def test_what_was_read_of_a_temporary_file_leaves_memory(monkeypatch):
    monkeypatch.setattr("upscale_cli.inference.feature_store._LEFT_ALONE", 0)
    store = FeatureStore("file", torch.device("cpu"))
    values, _ = store.take(4, 1000, 1000, torch.float32)
    values.fill_(7)
    held = psutil.Process().memory_info().rss
    store.leave_memory()
    assert held - psutil.Process().memory_info().rss > 15e6
    assert bool((values == 7).all())


@pytest.mark.skipif(LINUX < (5, 14), reason="older systems bring a file into memory page by page")
def test_rows_of_a_temporary_file_that_are_expected_come_into_memory_as_they_were(monkeypatch):
    monkeypatch.setattr("upscale_cli.inference.feature_store._LEFT_ALONE", 0)
    store = FeatureStore("file", torch.device("cpu"))
    values, _ = store.take(4, 1000, 1000, torch.float32)
    values.copy_(torch.arange(4e6).view(1, 4, 1000, 1000))
    store.leave_memory()
    held = psutil.Process().memory_info().rss
    store.expect(values, 250, 1000)
    assert psutil.Process().memory_info().rss - held > 11e6
    assert bool((values == torch.arange(4e6).view(1, 4, 1000, 1000)).all())


@pytest.mark.skipif(not LINUX, reason="asks Linux what of the file is in memory")
def test_a_small_temporary_file_stays_in_memory():
    store = FeatureStore("file", torch.device("cpu"))
    values, _ = store.take(4, 1000, 1000, torch.float32)
    values.fill_(7)
    held = psutil.Process().memory_info().rss
    store.leave_memory()
    assert held - psutil.Process().memory_info().rss < 1e6
