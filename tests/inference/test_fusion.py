"""RWSR's Eq. (6): the exact median of luminance, what it decides, and the mixture."""

import cv2
import numpy as np
import pytest

from upscale_cli.inference import fusion
from upscale_cli.inference.fusion import fuse, local_gate, median_luminance, whole_gate


def noise(shape: tuple[int, ...], dtype: type, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(sum(shape)).integers(int(low * top), int(high * top) + 1, shape).astype(dtype)


def luminance(samples: np.ndarray) -> np.ndarray:
    """In levels of 255, by the formula of JPEG's YCbCr."""
    levels = samples.astype(np.float64) * (255 / np.iinfo(samples.dtype).max)
    return levels[..., 0] if samples.shape[2] == 1 else levels @ [0.299, 0.587, 0.114]


@pytest.fixture(params=[1 << 20, 50])
def bands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture in one band, and in many."""
    monkeypatch.setattr(fusion, "_BAND", request.param)


@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (37, 53), (36, 53), (2, 2), (1, 101), (100, 1)])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.2), (0.9, 1), (0, 0), (1, 1), (0.25, 0.2505)])
def test_the_median_is_exact(size: tuple[int, int], channels: int, dtype: type, low: float, high: float) -> None:
    samples = noise((*size, channels), dtype, low, high)
    assert median_luminance(samples) == pytest.approx(float(np.median(luminance(samples))), abs=1e-9)


@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
def test_the_median_of_what_is_shown(dtype: type, share: float) -> None:
    shown = np.random.default_rng(2).random((11, 13)) < share
    samples = noise((33, 39, 3), dtype, 0, 1)
    counted = luminance(samples)[shown.repeat(3, axis=0).repeat(3, axis=1)] if share else luminance(samples)
    assert median_luminance(samples, shown) == pytest.approx(float(np.median(counted)), abs=1e-9)


def test_the_two_in_the_middle_may_lie_far_apart() -> None:
    samples = np.zeros((4, 6, 3), np.uint16)
    samples[2:] = 65535
    assert median_luminance(samples) == 127.5
    samples[2, 0] = 0
    assert median_luminance(samples) == 0
    samples[1:3] = 65535
    assert median_luminance(samples) == 255


def test_fused_by_hand() -> None:
    """0.6 y_R + 0.4 y_S, to the nearest level; half of it where the gate is half open; y_R where it is shut."""
    first = np.array([[[100, 20, 0], [100, 20, 0], [100, 20, 0]]], np.uint16)
    second = np.array([[[50, 61, 3], [50, 61, 3], [50, 61, 3]]], np.uint16)
    fuse(first, second, np.array([[255, 51, 0]], np.uint8), 0.6, 0.4)
    # 60 + 20, 12 + 24.4, 1.2; then a fifth of the way there.
    assert first.tolist() == [[[80, 36, 1], [96, 23, 0], [100, 20, 0]]]


@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("alpha", "beta"), [(0.6, 0.4), (1.0, 0.5), (0.0, 1.0), (0.3, 0.3)])
def test_fused_as_in_numpy(dtype: type, alpha: float, beta: float) -> None:
    first, second = noise((17, 23, 3), dtype), noise((17, 24, 3), dtype)[:, 1:]
    gate = noise((17, 23), np.uint8)
    w = gate[..., None] / 255
    mixed = w * (alpha * first.astype(float) + beta * second.astype(float)) + (1 - w) * first.astype(float)
    fuse(first, second, gate, alpha, beta)
    assert first.dtype == dtype
    np.testing.assert_array_equal(first, np.rint(np.clip(mixed, 0, np.iinfo(dtype).max)))


def test_a_sum_above_white_is_white() -> None:
    white = np.full((2, 2, 1), 255, np.uint8)
    fuse(white, white.copy(), whole_gate(white, dark=True), 0.8, 0.8)
    assert (white == 255).all()


def test_the_papers_gate_is_one_for_all() -> None:
    samples = noise((30, 40, 3), np.uint8)
    assert whole_gate(samples, dark=True).shape == (30, 40)
    assert (whole_gate(samples, dark=True) == 255).all()
    assert not whole_gate(samples, dark=False).any()


def test_the_local_gate_follows_the_dark() -> None:
    """Black on the left, white on the right: open, shut, and falling between, farther from the edge than the blur."""
    samples = np.zeros((120, 400, 3), np.uint8)
    samples[:, 200:] = 255
    gate = local_gate(samples, 64)
    assert (gate[:, :150] == 255).all()
    assert not gate[:, 200:].any()
    assert (np.diff(gate.astype(int), axis=1) <= 0).all()
    assert len(np.unique(gate)) > 5


@pytest.mark.parametrize(("level", "share"), [(0, 1), (48, 1), (64, 0.5), (80, 0), (255, 0)])
def test_the_local_gate_of_a_flat_picture(level: int, share: float) -> None:
    for size in ((1, 1), (1, 70), (70, 1), (30, 40)):
        gate = local_gate(np.full((*size, 3), level, np.uint8), 64)
        assert gate == pytest.approx(255 * share, abs=1), size


def test_with_gamma_zero_nothing_is_dark() -> None:
    assert not local_gate(np.zeros((9, 9, 1), np.uint16), 0).any()


def test_the_local_gate_knows_no_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is, is a smooth step of OpenCV's Gaussian over the whole picture's luminance."""
    samples = noise((333, 60, 3), np.uint16, 0, 0.6)
    samples[100:200] //= 5
    whole = local_gate(samples, 64)
    monkeypatch.setattr(fusion, "_BAND", 1)
    np.testing.assert_array_equal(local_gate(samples, 64), whole)
    around = cv2.GaussianBlur(luminance(samples), (97, 97), 16.0, borderType=cv2.BORDER_REFLECT_101)
    t = np.clip((80 - around) / 32, 0, 1)
    assert 0.1 < (whole / 255).mean() < 0.9
    np.testing.assert_allclose(whole / 255, t * t * (3 - 2 * t), atol=0.003)


def test_the_pictures_are_left_alone_where_only_looked_at() -> None:
    samples = noise((40, 50, 3), np.uint16)
    before = samples.copy()
    median_luminance(samples)
    local_gate(samples, 64)
    np.testing.assert_array_equal(samples, before)
