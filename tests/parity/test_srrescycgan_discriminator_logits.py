"""Both discriminators against numbers from the authors' own code, with made-up weights.

srrescycgan_dsgan.npz: image, other_image (18, 22, 3) uint8; DSGAN's scores for them, its high-pass and its losses.
What D_x was shown are crops of photographs, not ours to pass on: its tests read them from ../shared/golden/srrescycgan
and are skipped where that folder is not there.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from upscale_cli.losses.adversarial import gan_loss, ragan_discriminator_loss, relativistic
from upscale_cli.methods.srrescycgan.discriminator import DiscriminatorX, DiscriminatorY
from upscale_cli.networks.high_frequencies import high_frequencies

DSGAN = np.load(Path(__file__).with_name("srrescycgan_dsgan.npz"))
GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "srrescycgan"
SMALL = "disc_vgg128_small_nf2"
needs_pictures = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the photographs behind these numbers are not here")


def _fill(network: nn.Module, seed: int) -> None:
    """The weights that D_y's numbers were made with: uniform draws, one seed per tensor."""
    for number, (name, tensor) in enumerate(network.state_dict().items()):
        if tensor.ndim == 0:
            continue
        offset, spread = 0.0, 0.05
        if tensor.ndim > 1:
            spread = round(math.sqrt(3 / tensor[0].numel()), 6)
        elif "running" in name:
            offset, spread = float("var" in name), 0.3
        elif name.endswith("weight"):
            offset, spread = 1.0, 0.1
        draws = np.random.RandomState(seed + number).random_sample(tuple(tensor.shape))
        tensor.copy_(torch.from_numpy(offset + spread * (2 * draws - 1)))


def _close(actual: Tensor, expected: Any, tolerance: float) -> None:
    torch.testing.assert_close(actual, torch.as_tensor(expected), atol=tolerance, rtol=0)


@pytest.fixture(scope="module")
def patches() -> tuple[Tensor, Tensor]:
    """The image and the other image of DSGAN's numbers, (1, 3, 18, 22)."""
    first, second = (torch.from_numpy(DSGAN[name]).permute(2, 0, 1)[None].float() for name in ("image", "other_image"))
    return first, second


@pytest.fixture
def d_y() -> DiscriminatorY:
    network = DiscriminatorY()
    _fill(network, 1201000)
    return network


def test_what_d_y_sees(patches):
    _close(high_frequencies(patches[0] / 255, 5, count_border=False)[0], DSGAN["filter_high_5"], 2e-5)


@torch.no_grad()
def test_d_y_with_stored_statistics(d_y: DiscriminatorY, patches):
    d_y.eval()
    image, other = (d_y(picture) for picture in patches)
    _close(image.sigmoid()[0], DSGAN["disc_eval"], 2e-5)
    _close(relativistic(image, other).sigmoid()[0], DSGAN["disc_eval_relativistic"], 2e-5)


@torch.no_grad()
def test_d_y_in_training(d_y: DiscriminatorY, patches):
    image, other = (d_y(picture) for picture in patches)
    _close(image.sigmoid()[0], DSGAN["disc_train"], 2e-5)
    assert gan_loss(image, real=True).item() == pytest.approx(float(DSGAN["generator_loss"]), rel=1e-4)
    total = gan_loss(other, real=True) + gan_loss(image, real=False)
    assert total.item() == pytest.approx(float(DSGAN["discriminator_loss"]), rel=1e-4)


@pytest.fixture
def d_x() -> DiscriminatorX:
    network = DiscriminatorX(features=2)
    network.load_state_dict(load_file(GOLDEN / f"{SMALL}.weights.safetensors"))
    return network


def _pictures(kind: str) -> Tensor:
    """The two real or fake pictures of D_x's numbers, (2, 3, 128, 128) in [0, 255]."""
    pixels = [np.array(Image.open(GOLDEN / f"{kind}_128_{number}.png")) for number in (0, 1)]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float()


@needs_pictures
def test_d_x_has_the_released_names_and_shapes():
    with torch.device("meta"):
        tensors = DiscriminatorX().state_dict()
    expected = _scalars("disc_vgg128_full_nf64")["state_dict_keys"]
    assert [[name, list(value.shape)] for name, value in tensors.items()] == expected


@needs_pictures
@torch.no_grad()
def test_d_x_with_stored_statistics(d_x: DiscriminatorX):
    expected = np.load(GOLDEN / f"{SMALL}.npz")
    d_x.eval()
    _close(d_x(_pictures("real")), expected["eval_real"], 2e-3)
    _close(d_x(_pictures("fake")), expected["eval_fake"], 2e-3)
    d_x.high_pass = False
    _close(d_x(_pictures("real")), expected["eval_real_nofilter"], 2e-3)


@needs_pictures
def test_d_x_in_training(d_x: DiscriminatorX):
    """Logits by the batch's own statistics, the loss, its gradients, and the running statistics afterwards."""
    expected, numbers = np.load(GOLDEN / f"{SMALL}.npz"), _scalars(SMALL)
    real, fake = d_x(_pictures("real")), d_x(_pictures("fake"))
    _close(real.detach(), expected["train_real"], 2e-3)
    _close(fake.detach(), expected["train_fake"], 2e-3)
    loss = ragan_discriminator_loss(real, fake) / 2  # the released code takes half
    assert loss.item() == pytest.approx(numbers["ragan_discriminator_loss_train_mode"], rel=2e-3)
    loss.backward()
    norms = {name: p.grad.norm().item() for name, p in d_x.named_parameters() if p.grad is not None}
    assert norms == pytest.approx(numbers["gradient_norms"], rel=0.02, abs=1e-6)
    statistics = d_x.state_dict()
    _close(statistics["bn0_1.running_mean"][:4], numbers["bn0_1_running_mean_after_both_calls_first4"], 1e-4)
    _close(statistics["bn4_1.running_var"][:4], numbers["bn4_1_running_var_after_both_calls_first4"], 1e-3)


def _scalars(name: str) -> dict[str, Any]:
    scalars = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["scalars"]
    return {key: entry["value"] for key, entry in scalars.items()}
