"""Checkpoints are whole or absent, through kills, bit rot and full disks."""

import operator
import os
import queue
import random
import struct
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import processes, save_for_ever, save_where_the_disk_is_full

from upscale_cli.errors import ResourceError, TrainingStateError
from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.training.state import KEPT, Best, load_newest, save_pictures, save_slim_state, save_state, saved_states


def _save(folder: Path, step: int) -> Path:
    return save_state(folder, step, {"values": torch.arange(1000.0) + step})


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_two_are_kept(tmp_path: Path):
    for step in (0, 3, 6, 9):
        _save(tmp_path, step)
    assert _names(tmp_path) == ["step-00000006.pt", "step-00000009.pt"]
    assert load_newest(tmp_path, pytest.fail).step == 9


def test_the_best_one_is_kept_too(tmp_path: Path):
    for step, best in ((0, None), (3, 3), (6, 3), (9, 3), (12, 3)):
        save_state(tmp_path, step, {}, best and Best(best, "psnr", 30.5))
    assert _names(tmp_path) == ["step-00000003.pt", "step-00000009.pt", "step-00000012.pt"]
    assert load_newest(tmp_path, pytest.fail).best == Best(3, "psnr", 30.5)


def test_pictures_are_kept_as_they_are_and_written_over(tmp_path: Path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    for picture in pictures:
        save_pictures(tmp_path / "made" / "too", {"0": picture})
    with Image.open(tmp_path / "made" / "too" / "0.png") as kept:
        assert np.array_equal(np.asarray(kept), pictures[1])


def test_pictures_that_cannot_be_written_are_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ResourceError, match="file"):
        save_pictures(tmp_path / "file", {"0": np.zeros((2, 2, 3), np.uint8)})


def test_a_slim_state_is_small_parts_that_together_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("upscale_cli.training.state.SLIM_BYTES", 1500)
    values = torch.arange(1000.0)
    save_slim_state(tmp_path / "out", 3, {"values": values})
    parts = save_slim_state(tmp_path / "out", 7, {"values": values}, Best(6, "psnr", 1.0))
    assert sorted(parts) == sorted((tmp_path / "out").iterdir())
    assert len(parts) > 2
    assert all(part.stat().st_size <= 1500 for part in parts)
    saved = load_newest(tmp_path / "out", pytest.fail)
    assert (saved.step, saved.best, saved.slim) == (7, Best(6, "psnr", 1.0), True)
    assert torch.equal(saved.state["values"], values)

    _save(tmp_path / "out", 5)
    assert load_newest(tmp_path / "out", pytest.fail).slim
    _save(tmp_path / "out", 7)
    assert not load_newest(tmp_path / "out", pytest.fail).slim


def test_a_slim_state_with_a_part_missing_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("upscale_cli.training.state.SLIM_BYTES", 1500)
    _save(tmp_path, 5)
    parts = save_slim_state(tmp_path, 7, {"values": torch.arange(1000.0)})
    parts[1].unlink()
    warnings: list[str] = []
    assert load_newest(tmp_path, warnings.append).step == 5
    assert f"{len(parts) - 1} of its {len(parts)} parts" in warnings[0]


def test_pruning_never_leaves_only_rotten_ones(tmp_path: Path):
    _save(tmp_path, 1)
    for later in (5, 6):
        (tmp_path / f"step-{later:08d}.pt").write_bytes(b"rotten")
    _save(tmp_path, 2)
    assert _names(tmp_path) == ["step-00000001.pt", "step-00000002.pt"]


@pytest.mark.parametrize("slow_pruning, kills", [(False, 20), (True, 10)])
def test_killed_at_random_moments_the_newest_is_whole(tmp_path: Path, slow_pruning: bool, kills: int):
    rng = random.Random(slow_pruning)
    saved = processes.Value("q", 0)
    for _ in range(kills):
        first = saved.value
        process = processes.Process(target=save_for_ever, args=(tmp_path, first, saved, slow_pruning))
        process.start()
        while saved.value == first:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
        state = load_newest(tmp_path, pytest.fail)
        assert state.step in (saved.value, saved.value + 1)
        assert bool((state.state["values"] == state.step).all())
        saved.value = state.step
        sweep_temporaries(tmp_path)
        assert all(name.startswith("step-") for name in _names(tmp_path))
        assert len(saved_states(tmp_path)) <= KEPT + 1


def _member_bytes(path: Path) -> list[int]:
    """Offsets of the content of the archive's members: their first, middle and last bytes."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        raw = path.read_bytes()
    offsets = []
    for member in members:
        at = member.header_offset
        start = at + 30 + sum(struct.unpack_from("<HH", raw, at + 26))  # behind its name and its extra field
        offsets += [start + place for place in (0, member.file_size // 2, member.file_size - 1) if member.file_size]
    return offsets


def test_every_kind_of_rot_is_found_and_passed_over(tmp_path: Path):
    _save(tmp_path, 1)
    newest = _save(tmp_path, 2)
    whole = newest.read_bytes()
    rotten = [whole[: int(len(whole) * share)] for share in (0, 0.01, 0.3, 0.7, 0.999)]
    rotten += [bytes(len(whole)), b"<html>" + whole]
    for offset in _member_bytes(newest):
        rotten.append(whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :])
    assert len(rotten) > 15
    for content in rotten:
        newest.write_bytes(content)
        warnings: list[str] = []
        assert load_newest(tmp_path, warnings.append).step == 1
        assert len(warnings) == 1
        assert str(newest) in warnings[0]


def test_a_flipped_bit_anywhere_never_changes_what_is_loaded(tmp_path: Path):
    expected = {step: torch.arange(1000.0) + step for step in (1, 2)}
    _save(tmp_path, 1)
    newest = _save(tmp_path, 2)
    whole = newest.read_bytes()
    rng = random.Random(3)
    for _ in range(60):
        offset = rng.randrange(len(whole))
        newest.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1 << rng.randrange(8)]) + whole[offset + 1 :])
        state = load_newest(tmp_path, lambda text: None)
        assert torch.equal(state.state["values"], expected[state.step])


def test_a_folder_of_a_checkpoints_name_is_none(tmp_path: Path):
    (tmp_path / "step-00000009.pt").mkdir()
    (tmp_path / "slim-00000009.1-of-1.part").mkdir()
    _save(tmp_path, 2)
    assert load_newest(tmp_path, pytest.fail).step == 2
    _save(tmp_path, 3)
    _save(tmp_path, 4)
    assert [path.name for path in saved_states(tmp_path)] == ["step-00000003.pt", "step-00000004.pt"]


def test_only_where_there_is_one_before_is_it_fallen_back_to(tmp_path: Path):
    for step in (1, 2):
        _save(tmp_path, step).write_bytes(b"rotten")
    warnings: list[str] = []
    with pytest.raises(TrainingStateError, match="none of its 2 checkpoints"):
        load_newest(tmp_path, warnings.append)
    assert [("falling back" in text) for text in warnings] == [True, False]


def test_a_state_that_lacks_something_is_a_rotten_one(tmp_path: Path):
    save_state(tmp_path, 1, {"needed": 5})
    save_state(tmp_path, 2, {})
    warnings: list[str] = []
    saved = load_newest(tmp_path, warnings.append, operator.itemgetter("needed"))
    assert saved.step == 1
    assert "step-00000002.pt: cannot be read ('needed' is missing), falling back" in warnings[0]


def test_a_checkpoint_under_another_steps_name_is_refused(tmp_path: Path):
    _save(tmp_path, 1).rename(tmp_path / "step-00000007.pt")
    with pytest.raises(TrainingStateError, match="none of its 1 checkpoints"):
        load_newest(tmp_path, lambda text: None)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'hacked'}",)

    torch.save({"step": 3, "values": Evil()}, tmp_path / "step-00000003.pt")
    with pytest.raises(TrainingStateError):
        load_newest(tmp_path, lambda text: None)
    assert not (tmp_path / "hacked").exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path):
    with pytest.raises(ResourceError, match="cannot be written"):
        _save(tmp_path / "missing", 1)


def _full(folder: Path, limit: int) -> tuple[int, str]:
    told = processes.Queue()
    process = processes.Process(target=save_where_the_disk_is_full, args=(folder, limit, told))
    process.start()
    try:
        answer: tuple[int, str] = told.get(timeout=60)
    except queue.Empty:
        pytest.fail("no answer")
    process.join()
    return answer


def _check_untouched(folder: Path, limit: int) -> None:
    _save(folder, 1)
    _save(folder, 2)
    code, text = _full(folder, limit)
    assert code == 5
    assert "no space left" in text
    assert "--resume" in text
    assert _names(folder) == ["step-00000001.pt", "step-00000002.pt"]
    assert load_newest(folder, pytest.fail).step == 2


def test_where_a_file_cannot_grow_the_old_ones_stay(tmp_path: Path):
    _check_untouched(tmp_path, limit=100_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_on_a_full_disk_the_old_ones_stay(small_disk: Path):
    _check_untouched(small_disk, limit=0)
