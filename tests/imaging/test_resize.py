"""Resampling: identity, constants, position, sharpness, no seams, little memory."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from picture_files import deep_photo, photo
from PIL import Image

from upscale_cli.imaging import resize as resizing
from upscale_cli.imaging.resize import BICUBIC, LANCZOS, resize


@pytest.mark.parametrize("samples", [photo(), deep_photo()], ids=["8", "16"])
def test_the_same_size_is_the_same_picture(samples: np.ndarray) -> None:
    same = resize(samples, 90, 60)
    np.testing.assert_array_equal(same, samples)
    assert not np.shares_memory(same, samples)


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("size", [(225, 150), (37, 23), (1, 1), (361, 59)])
def test_a_constant_stays_itself(level: int, size: tuple[int, int]) -> None:
    for dtype, factor in ((np.uint8, 1), (np.uint16, 257)):
        flat = np.full((60, 90, 3), level * factor, dtype)
        resized = resize(flat, *size)
        assert resized.shape == (size[1], size[0], 3)
        assert resized.dtype == dtype
        assert (resized == level * factor).all()


@pytest.mark.parametrize(("width", "height"), [(225, 150), (56, 37), (91, 61), (333, 20)])
def test_nothing_moves(width: int, height: int) -> None:
    """A ramp keeps its place: sample x of n stands at (x + 0.5) / n of the edge."""
    across = np.linspace(0, 1, 2 * 90 + 1)[1::2]
    ramp = np.broadcast_to((10_000 + 40_000 * across).round().astype(np.uint16)[None, :, None], (60, 90, 1)).copy()
    want = 10_000 + 40_000 * (np.arange(width) + 0.5) / width
    got = resize(ramp, width, height)[height // 2, :, 0]
    inside = slice(width // 8, -width // 8)
    np.testing.assert_allclose(got[inside], want[inside], atol=20)
    upright = resize(np.ascontiguousarray(ramp.swapaxes(0, 1)), height, width)[:, height // 2, 0]
    np.testing.assert_allclose(upright[inside], want[inside], atol=20)


def test_enlarging_and_reducing_does_not_shift() -> None:
    import cv2

    there = resize(photo(120, 180), 500, 333)
    back = resize(there, 180, 120)
    (across, down), _ = cv2.phaseCorrelate(
        photo(120, 180).mean(axis=2).astype(np.float64), back.mean(axis=2).astype(np.float64)
    )
    assert abs(across) < 0.01
    assert abs(down) < 0.01
    assert np.abs(back.astype(int) - photo(120, 180)).mean() < 1


@pytest.mark.parametrize(("width", "height"), [(56, 37), (225, 150), (90, 400), (17, 60)])
@pytest.mark.parametrize("kernel", [LANCZOS, BICUBIC])
def test_bands_leave_no_seam(
    width: int, height: int, kernel: Image.Resampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = resize(deep_photo(), width, height, kernel)
    monkeypatch.setattr(resizing, "_rows_per_band", lambda *_: 7)
    banded = resize(deep_photo(), width, height, kernel)
    assert np.abs(banded.astype(int) - whole).max() <= 1


def test_it_is_the_reference_lanczos() -> None:
    plane = photo()[..., 0].astype(np.float32)
    want = np.array(Image.fromarray(plane).resize((56, 37), Image.Resampling.LANCZOS))
    got = resize(photo()[..., :1], 56, 37)[..., 0]
    np.testing.assert_array_equal(got, np.rint(want).clip(0, 255))


def test_reducing_is_antialiased() -> None:
    stripes = np.zeros((64, 400, 1), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize(stripes, 150, 24)[:, 5:-5].astype(int) - 127.5).max() < 3


def test_memory_is_bounded() -> None:
    program = """
        import resource
        import numpy as np
        from upscale_cli.imaging.resize import resize
        big = np.random.default_rng(0).integers(0, 256, (8000, 12000, 1), np.uint8)
        resize(big[:200, :200], 100, 100)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        small = resize(big, 6001, 4001)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 - small.nbytes / 2**20)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200, "MiB beside input and output; the whole as floats would be 366"
