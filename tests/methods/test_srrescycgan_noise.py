"""sigma: what the official estimate gives, what ours gives, and that both stay in float32."""

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from upscale_cli.methods.srrescycgan.generator import upsample
from upscale_cli.methods.srrescycgan.noise import (
    FLOOR,
    GAUSSIAN,
    diagonal_details,
    estimate_noise,
    noise_level,
    robust_noise,
    upsampled_noise,
)

HEIGHT, WIDTH = 120, 160


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()


def photo(name: str) -> np.ndarray:
    return np.array(Image.fromarray(getattr(skimage.data, name)()).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def flat(level: int = 128) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def page() -> np.ndarray:
    """Black text on white; well over half of it is paper."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for line in range(4):
        ImageDraw.Draw(image).text((10, 8 + 12 * line), "The quick brown fox", fill="black")
    return np.array(image)


def sky() -> np.ndarray:
    """The upper 70 % clipped to white, a photograph below."""
    pixels = photo("chelsea")
    pixels[: int(0.7 * HEIGHT)] = 255
    return pixels


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(8).normal(0, sigma, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2), (16, 16), (37, 53), (140, 30)])
@pytest.mark.parametrize("rows", [1, 5, 64])
def test_strips_give_the_whole_upsampled_pictures_estimate(size, rows):
    y = torch.randint(0, 256, (1, 3, *size), generator=torch.Generator().manual_seed(2)).float()
    whole = noise_level(diagonal_details(upsample(y) / 255)[0]) * 255
    assert upsampled_noise(y, rows).item() == pytest.approx(whole.item(), rel=1e-4, abs=1e-6)


def test_of_two_middle_values_the_lower_counts():
    details = torch.tensor([[[-4.0, 1.0], [3.0, -2.0]], [[0.0, 0.0], [-6.0, 0.0]], [[1.0, 1.0], [1.0, 9.0]]])
    assert noise_level(details).item() == pytest.approx((2 + 0 + 1) / 3 / GAUSSIAN)


def test_details_have_no_mean_and_follow_the_level_of_noise():
    noise = torch.randn(1, 3, 200, 200, generator=torch.Generator().manual_seed(0)) * 7
    assert diagonal_details(torch.full((1, 3, 30, 31), 200.0)).abs().max() < 1e-3
    assert noise_level(diagonal_details(noise + 90)[0]).item() == pytest.approx(7, rel=0.03)


@pytest.mark.parametrize("kind", ["upsampled", "robust"])
def test_each_picture_of_a_batch_has_its_own(kind):
    batch = torch.cat([tensor(photo("chelsea")), tensor(noisy(photo("coffee"), 20))])
    got = estimate_noise(batch, kind)
    assert got.shape == (2,)
    one_by_one = [estimate_noise(picture[None], kind).item() for picture in batch]
    assert got.tolist() == pytest.approx(one_by_one, rel=1e-6)
    assert got[1] > got[0]


@pytest.mark.parametrize("kind", ["upsampled", "robust"])
def test_autocast_and_half_precision_are_kept_out(kind):
    y = tensor(photo("chelsea"))
    expected = estimate_noise(y, kind)
    with torch.autocast("cpu", torch.bfloat16):
        got = estimate_noise(y, kind)
    assert got.dtype == torch.float32
    assert torch.equal(got, expected)
    assert torch.equal(estimate_noise(y.bfloat16(), kind), expected)  # grey levels are whole numbers in bfloat16 too


@pytest.mark.parametrize("kind", ["upsampled", "robust"])
def test_no_gradient_flows_through(kind):
    y = tensor(photo("chelsea")).requires_grad_()
    assert not estimate_noise(y, kind).requires_grad


@pytest.mark.parametrize("sigma", [5, 10, 20])
@pytest.mark.parametrize("level", [100, 150])
def test_robust_estimate_recovers_noise_on_a_plain_ground(sigma, level):
    """A little high, the more so the weaker the noise: some of its own details are taken for flat."""
    assert robust_noise(tensor(noisy(flat(level), sigma))).item() == pytest.approx(sigma, rel=0.08)


@pytest.mark.parametrize("sigma", [5, 10, 20])
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_robust_estimate_on_a_photograph_takes_some_texture_for_noise(name, sigma):
    estimate = robust_noise(tensor(noisy(photo(name), sigma))).item()
    assert 0.97 * sigma <= estimate <= sigma + 2.5


@pytest.mark.parametrize("sigma", [5, 10, 20])
def test_robust_estimate_where_clipping_takes_half_of_the_noise(sigma):
    assert 0.5 * sigma <= robust_noise(tensor(noisy(sky(), sigma))).item() <= sigma
    assert 0.5 * sigma <= robust_noise(tensor(noisy(flat(0), sigma))).item() <= sigma


@pytest.mark.parametrize("pixels", [flat(0), flat(1), flat(255), flat()])
def test_robust_estimate_of_nothing_is_its_floor(pixels):
    assert robust_noise(tensor(pixels)).item() == FLOOR


@pytest.mark.parametrize("make", [page, sky])
def test_a_flat_majority_misleads_the_official_estimate_and_not_ours(make):
    """Below a thousandth of a thousandth of a level nothing of the residual is left: the picture becomes a blur."""
    y = tensor(make())
    assert upsampled_noise(y).item() < 1e-6
    assert robust_noise(y).item() > 1.5
