"""PSNR and SSIM meet the numbers of the reference implementations that papers use."""

from pathlib import Path

import numpy as np
import pytest
from picture_files import photo

from upscale_cli.imaging.colour import luminance
from upscale_cli.imaging.quality import psnr, ssim

GOLDEN = np.load(Path(__file__).parents[1] / "parity" / "psnr_ssim.npz")
VALUES = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))


@pytest.mark.parametrize("name", VALUES)
def test_measures_meet_the_reference(name: str) -> None:
    """Names are like noise_psnr_rgb_border2 and blur_dualsr_y_psnr_border4."""
    distortion, *words, border = name.split("_")
    measure = psnr if "psnr" in words else ssim
    got = measure(
        GOLDEN["reference"],
        GOLDEN[f"distorted_{distortion}"],
        on="y" if "y" in words else "rgb",
        border=int(border.removeprefix("border")),
    )
    assert got == pytest.approx(VALUES[name], rel=1e-5 if "y" in words else 1e-7)


def test_luminance_meets_the_reference() -> None:
    np.testing.assert_allclose(luminance(GOLDEN["reference"]), GOLDEN["y_channel_float"], atol=1e-3)
    assert luminance(np.full((1, 1, 3), 255, np.uint8))[0, 0] == pytest.approx(235)


def test_a_picture_is_itself() -> None:
    assert psnr(photo(), photo()) == float("inf")
    assert ssim(photo(), photo()) == pytest.approx(1)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        psnr(photo(), photo()[1:])
    with pytest.raises(ValueError, match="leaves nothing"):
        psnr(photo(), photo(), border=30)
    with pytest.raises(ValueError, match="SSIM needs"):
        ssim(photo(), photo(), border=26)
