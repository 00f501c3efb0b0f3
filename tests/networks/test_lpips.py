"""LPIPS meets the numbers of its authors' code, with the published head on a made-up AlexNet."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.networks.alexnet import AlexNet
from upscale_cli.networks.lpips import Lpips, LpipsHead
from upscale_cli.weights.places import bundled_folder

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = np.load(Path(__file__).parents[1] / "parity" / "lpips_head.npz")


def drawn(shape: tuple[int, ...], scale: float, seed: int) -> Tensor:
    """The made-up weights that the authors' code was run with."""
    numbers = np.random.RandomState(seed).random_sample(shape)
    return torch.from_numpy((scale * (2 * numbers - 1)).astype(np.float32))


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    trunk, head = AlexNet(), LpipsHead()
    names = list(trunk.state_dict())
    values = zip(names, GOLDEN["scales"], GOLDEN["seeds"], strict=True)
    shapes = {name: tuple(tensor.shape) for name, tensor in trunk.state_dict().items()}
    trunk.load_state_dict({name: drawn(shapes[name], float(scale), int(seed)) for name, scale, seed in values})
    head.load_state_dict(load_file(bundled_folder() / "lpips-alex-v0.1.safetensors"))
    return Lpips(trunk, head).requires_grad_(False)


@pytest.mark.parametrize("other", ["1", "2"])
def test_distances_meet_the_reference(lpips: Lpips, other: str) -> None:
    first, second = (to_tensor(GOLDEN[f"image{number}"]) for number in ("0", other))
    assert lpips(first, second).item() == pytest.approx(float(GOLDEN[f"distance_0{other}"]), rel=1e-3)
    inside = [lpips.trunk(lpips.normalise(2 * x - 1)) for x in (first, second)]
    layers = [layer.item() for layer in lpips.head(*inside)]
    assert layers == pytest.approx(GOLDEN[f"per_layer_0{other}"].tolist(), rel=2e-3)


def test_pictures_of_a_batch_are_measured_one_by_one(lpips: Lpips) -> None:
    zero, one, two = (to_tensor(GOLDEN[f"image{number}"]) for number in range(3))
    both = lpips(torch.cat([zero, zero]), torch.cat([one, two]))
    torch.testing.assert_close(both, torch.cat([lpips(zero, one), lpips(zero, two)]), rtol=1e-4, atol=1e-6)
    assert lpips(one, one).item() == 0


def test_the_smallest_picture(lpips: Lpips) -> None:
    assert lpips(torch.zeros(1, 3, 31, 31), torch.ones(1, 3, 31, 31)).isfinite().all()
    with pytest.raises(ValueError, match="at least 31 pixels a side, not \\(31, 30\\)"):
        lpips(torch.zeros(1, 3, 31, 30), torch.ones(1, 3, 31, 30))
