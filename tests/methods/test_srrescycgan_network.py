"""The door of the room: ranges, halos, and what the projection does to pages."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from upscale_cli.inference.device import CPU, Placement
from upscale_cli.inference.plan import Plan
from upscale_cli.inference.tiling import WHOLE, Frame
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import Generator, upsample
from upscale_cli.methods.srrescycgan.network import SUPPRESSED, ProjectedNetwork

BF16 = Placement(torch.device("cpu"), torch.bfloat16)


def generator(kind: str = "upsampled", **settings: int) -> Generator:
    """Untrained, with the alpha that training starts from, and a residual of tens of levels."""
    torch.manual_seed(11)
    made = Generator(GeneratorSettings.model_validate({"features": 8, "noise_estimate": kind, **settings}))
    with torch.no_grad():
        made.model.conv_out.weight_g.mul_(10)
    return made


def page() -> Tensor:
    """Black text on white; well over half of it is paper."""
    image = Image.new("RGB", (96, 80), "white")
    for line in range(3):
        ImageDraw.Draw(image).text((8, 6 + 12 * line), "quick fox", fill="black")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def noise() -> Tensor:
    return torch.rand(1, 3, 20, 26, generator=torch.Generator().manual_seed(6))


def enlarged(network: ProjectedNetwork, picture: Tensor) -> tuple[Tensor, list[str]]:
    out = torch.full((1, 3, 4 * picture.shape[2], 4 * picture.shape[3]), torch.nan)
    remarks = upscale(network, picture, lambda box, part: out[:, :, box.top :, box.left :].copy_(part), Plan())
    return out, remarks


@pytest.mark.parametrize("kind", ["upsampled", "robust"])
def test_one_network_is_trained_and_run(kind):
    """The generator in [0, 255] and the network in [0, 1] are the same function."""
    made, picture = generator(kind), noise()
    with torch.no_grad():
        expected = made(picture * 255) / 255
    got, _ = enlarged(ProjectedNetwork(made, CPU, projection=True), picture)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("blocks", range(1, 9))
def test_halo_holds_the_convolutions_and_the_upsampling(blocks):
    radius = 2 + 2 * blocks + 2
    network = ProjectedNetwork(generator(blocks=blocks), CPU, projection=True)
    assert network.halo == math.ceil((radius + 2) / 4)


@pytest.mark.parametrize("blocks", range(1, 6))
def test_nothing_is_read_beyond_the_halo(blocks):
    """A tile's result does not change when the picture changes just outside its halo, and does when inside."""
    network = ProjectedNetwork(generator(blocks=blocks), CPU, projection=False)
    halo, side = network.halo, 3
    frame = Frame(halo, halo, halo, halo, WHOLE._replace(left=False, right=False, top=False, bottom=False))
    picture = torch.rand(1, 3, side + 2 * halo + 2, side + 2 * halo + 2)
    whole = Frame(halo + 1, halo + 1, halo + 1, halo + 1, WHOLE)
    tile = network.partial(picture[:, :, 1:-1, 1:-1], frame)
    torch.testing.assert_close(network.partial(picture, whole), tile, atol=1e-3, rtol=0)
    picture[:, :, 0] = picture[:, :, :, -1] = 0.5
    torch.testing.assert_close(network.partial(picture, whole), tile, atol=1e-3, rtol=0)
    picture[:, :, halo] += 0.5
    assert (network.partial(picture, whole) - tile).abs().max() > 0.1


def test_official_projection_erases_a_page_and_says_so():
    got, remarks = enlarged(ProjectedNetwork(generator(), CPU, projection=True), page())
    assert (got - upsample(page())).abs().max().item() * 255 < 0.1
    [remark] = remarks
    assert "suppressed 100% of the detail" in remark
    assert "--projection off" in remark
    assert "\n" not in remark


def test_without_the_projection_a_page_keeps_its_detail():
    got, remarks = enlarged(ProjectedNetwork(generator(), CPU, projection=False), page())
    assert (got - upsample(page())).abs().max().item() * 255 > 20
    assert remarks == []


def test_robust_estimate_keeps_a_pages_detail_too():
    robust = generator("robust")
    got, remarks = enlarged(ProjectedNetwork(robust, CPU, projection=True), page())
    expected, _ = enlarged(ProjectedNetwork(robust, CPU, projection=False), page())
    assert torch.equal(got, expected)
    assert remarks == []


@pytest.mark.parametrize(
    ("settled", "said"), [([1.0], ""), ([0.91], ""), ([0.88], "12%"), ([1.0] * 4 + [0.5] * 4, "25%")]
)
def test_remark_where_more_than_a_tenth_is_suppressed(settled, said):
    assert SUPPRESSED == 0.1
    remarks = ProjectedNetwork(generator(), CPU, projection=True).remarks(torch.tensor(settled))
    assert len(remarks) == bool(said)
    assert said in "".join(remarks)


def test_projection_spans_the_whole_picture():
    """settle() takes the sum over all tiles: of two halves of a picture neither has the whole's factor."""
    network, picture = ProjectedNetwork(generator(), CPU, projection=True), noise()
    energy = torch.tensor([1e9], dtype=torch.float64)
    sigma = torch.tensor([1e-3])
    whole = network.settle(sigma, energy, 20_000)
    assert 0 < whole.item() < 1
    assert network.settle(sigma, energy / 2, 10_000).item() == pytest.approx(whole.item(), rel=1e-4)
    assert network.settle(sigma, energy / 4, 20_000).item() == pytest.approx(2 * whole.item(), rel=1e-4)
    assert network.measure(picture).shape == (1,)


@pytest.mark.parametrize("kind", ["upsampled", "robust"])
def test_noise_estimate_is_float32_in_every_format(kind):
    made, picture = generator(kind), noise()
    exact, reduced = (ProjectedNetwork(made, placement, projection=True) for placement in (CPU, BF16))
    assert reduced.measure(picture).dtype == torch.float32
    assert torch.equal(reduced.measure(picture), exact.measure(picture))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(reduced.measure(picture), exact.measure(picture))


def test_bf16_rounds_but_little():
    made, picture = generator(), noise()
    exact, _ = enlarged(ProjectedNetwork(made, CPU, projection=True), picture)
    reduced, _ = enlarged(ProjectedNetwork(made, BF16, projection=True), picture)
    assert reduced.dtype == torch.float32
    assert 0 < (reduced - exact).abs().mean().item() * 255 < 0.5


def test_working_memory_counts_features_and_format():
    small, large = (ProjectedNetwork(generator(features=n), CPU, projection=True) for n in (8, 16))
    assert large.tile_bytes(10, 20) == 2 * small.tile_bytes(10, 20)
    reduced = ProjectedNetwork(generator(features=16), BF16, projection=True)
    assert large.tile_bytes(10, 20) // 2 < reduced.tile_bytes(10, 20) < large.tile_bytes(10, 20)
