"""NIQE meets its authors' numbers with their photographs, and tells good from bad with this project's own."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from upscale_cli.imaging.niqe import Pristine, fit, niqe

OFFICIAL = Pristine(**np.load(Path(__file__).parents[1] / "parity" / "niqe.npz"))
GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs the reference's picture in ../shared/golden")
def test_values_meet_the_reference() -> None:
    values = json.loads((GOLDEN / "metrics" / "niqe.json").read_text())["scalars"]
    picture = np.asarray(Image.open(GOLDEN / "srrescgan" / "sr_real_640x640.png").convert("RGB"))
    for border in (0, 2, 4):
        inside = picture[border : 640 - border, border : 640 - border]
        assert niqe(inside, OFFICIAL) == pytest.approx(values[f"full_border{border}"]["value"], abs=0.002)
    for top, left, name in ((0, 0, "top_left_288x192_border0"), (100, 200, "offset_288x192_border0")):
        part = picture[top : top + 288, left : left + 192]
        assert niqe(part, OFFICIAL) == pytest.approx(values[name]["value"], abs=0.005)


@pytest.mark.parametrize("name, value", [("chelsea", 2.6255), ("astronaut", 3.0660), ("coffee", 4.1152)])
def test_values_stay_as_they_were_when_they_met_the_reference(name: str, value: float) -> None:
    assert niqe(getattr(skimage.data, name)(), OFFICIAL) == pytest.approx(value, abs=0.002)


def test_blurred_and_noisy_pictures_are_worse_than_the_original() -> None:
    picture = skimage.data.astronaut()
    small = Image.fromarray(picture).resize((128, 128), Image.Resampling.BICUBIC)
    blurred = np.asarray(small.resize((512, 512), Image.Resampling.BICUBIC))
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 20, picture.shape), 0, 255).astype(np.uint8)
    assert niqe(picture) + 1 < min(niqe(blurred), niqe(noisy))


def test_what_is_fitted_to_photographs_knows_them_from_others() -> None:
    sharp, soft = skimage.data.coffee(), skimage.data.coffee()[::2, ::2].repeat(2, 0).repeat(2, 1)
    own, other = fit([sharp]), fit([soft])
    assert (own.mean.shape, own.covariance.shape) == ((36,), (36, 36))
    assert niqe(sharp, own) < niqe(soft, own)
    assert niqe(soft, other) < niqe(sharp, other)


def test_only_the_sharpest_blocks_are_learned_from() -> None:
    sharp = skimage.data.chelsea()[:192, :384]
    faint = (sharp[:, ::-1] // 8 + 100).astype(np.uint8)
    both, alone = fit([np.concatenate([sharp, faint])]), fit([sharp])
    np.testing.assert_allclose(both.mean, alone.mean, rtol=0.2, atol=0.05)
    assert not np.allclose(fit([sharp, faint]).mean, alone.mean, rtol=0.05, atol=0.01)


def test_a_picture_without_detail_has_no_value() -> None:
    assert math.isnan(niqe(np.full((200, 200, 3), 90, np.uint8)))


def test_fewer_than_two_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="two blocks of 96 x 96 pixels, not 191 x 100"):
        niqe(np.zeros((100, 191, 3), np.uint8))
