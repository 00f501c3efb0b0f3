"""Kernels in files: what was written is read again, and what is no kernel is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from upscale_cli.errors import UsageError
from upscale_cli.imaging.kernel_files import MAX_SIDE, read_kernel, write_kernel


def bell(side: int) -> np.ndarray:
    places = np.arange(side) - side // 2
    bell = np.exp(-(places**2) / 8)
    return np.outer(bell, bell) / bell.sum() ** 2


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".png"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str):
    path = tmp_path / f"k{suffix}"
    write_kernel(bell(13), path)
    found, notes = read_kernel(path)
    np.testing.assert_allclose(found, bell(13), atol=1e-6 if suffix == ".png" else 1e-12)
    assert notes == ()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_mat_file_is_kernelgans(tmp_path: Path):
    write_kernel(bell(13), tmp_path / "k.mat")
    assert loadmat(tmp_path / "k.mat")["Kernel"].shape == (13, 13)


def test_another_matrix_of_a_mat_file_is_taken_where_it_is_the_only_one(tmp_path: Path):
    savemat(tmp_path / "k.mat", {"blur": bell(5), "seed": 3})
    np.testing.assert_allclose(read_kernel(tmp_path / "k.mat")[0], bell(5))
    savemat(tmp_path / "k.mat", {"blur": bell(5), "sharp": bell(5)})
    with pytest.raises(UsageError, match="2 matrices"):
        read_kernel(tmp_path / "k.mat")


def test_the_sum_is_made_1_with_a_word(tmp_path: Path):
    np.save(tmp_path / "k.npy", 3 * bell(7))
    found, notes = read_kernel(tmp_path / "k.npy")
    assert found.sum() == pytest.approx(1)
    assert "its sum was 3" in notes[0]


def test_negative_numbers_are_kept(tmp_path: Path):
    sharp = bell(7) * 1.2 - 0.2 / 49
    np.save(tmp_path / "k.npy", sharp)
    np.testing.assert_allclose(read_kernel(tmp_path / "k.npy")[0], sharp)


@pytest.mark.parametrize(
    "values, words",
    [
        (np.ones((12, 12)), "12 x 12: a kernel is square and of an odd side"),
        (np.ones((13, 11)), "13 x 11: a kernel is square"),
        (np.ones((3, 3, 3)), "3 x 3 x 3: a kernel is square"),
        (np.float64(1), "one number: a kernel is square"),
        (np.ones((35, 35)), f"35 pixels a side, from 3 to {MAX_SIDE}"),
        (np.ones((1, 1)), "1 pixels a side"),
        (np.zeros((5, 5)), "its sum is 0"),
        (-np.ones((5, 5)), "its sum is -25"),
        (np.full((5, 5), np.nan), "its sum is nan"),
        (np.full((5, 5), "a"), "holds no real numbers"),
        (np.full((5, 5), 0.04 + 0.01j), "holds no real numbers"),
        (np.full((3, 3), 1e308), "its sum is inf"),
        (np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1.01]]), "its sum is 0.01"),
    ],
)
def test_what_is_no_kernel_is_named(tmp_path: Path, values: np.ndarray, words: str):
    np.save(tmp_path / "k.npy", values)
    with pytest.raises(UsageError) as error:
        read_kernel(tmp_path / "k.npy")
    assert words in error.value.message


@pytest.mark.parametrize("name", ["k.npy", "k.mat", "k.png"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY\x01\x00", b"\x89PNG\r\n\x1a\n"])
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read"):
        read_kernel(tmp_path / name)


def test_a_pickle_is_not_opened(tmp_path: Path):
    np.save(tmp_path / "k.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(UsageError, match="cannot be read"):
        read_kernel(tmp_path / "k.npy")


def test_a_photo_is_no_kernel(tmp_path: Path):
    Image.new("RGB", (401, 401)).save(tmp_path / "photo.png")
    with pytest.raises(UsageError, match="401 pixels a side"):
        read_kernel(tmp_path / "photo.png")


@pytest.mark.parametrize("name, words", [("k.txt", "none of .png"), ("gone.npy", "no such file")])
def test_other_names(tmp_path: Path, name: str, words: str):
    with pytest.raises(UsageError, match=words):
        read_kernel(tmp_path / name)
