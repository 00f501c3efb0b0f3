"""VGG-19's features: torchvision's layers under torchvision's names, of a picture in [0, 1]."""

import pytest
import torch
import torch.nn.functional as F

from upscale_cli.networks.vgg19 import Vgg19

pytestmark = pytest.mark.usefixtures("one_thread")

LAYERS = (0, 2, "pool", 5, 7, "pool", 10, 12, 14, 16, "pool", 19, 21, 23, 25, "pool", 28, 30, 32, 34)
"""torchvision's indices of the convolutions up to conv5_4."""


@pytest.fixture(scope="module")
def vgg() -> Vgg19:
    torch.manual_seed(0)
    return Vgg19().requires_grad_(False)


def test_the_names_are_torchvision_s(vgg: Vgg19) -> None:
    convolutions = [layer for layer in LAYERS if layer != "pool"]
    assert list(vgg.state_dict()) == [f"features.{i}.{part}" for i in convolutions for part in ("weight", "bias")]
    assert vgg.state_dict()["features.34.weight"].shape == (512, 512, 3, 3)


def test_the_features_are_those_of_conv5_4_before_its_relu(vgg: Vgg19) -> None:
    picture = torch.rand(2, 3, 33, 48, generator=torch.Generator().manual_seed(1))
    state = vgg.state_dict()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (picture - mean[:, None, None]) / std[:, None, None]
    for layer in LAYERS:
        if layer == "pool":
            x = F.max_pool2d(x, 2)
            continue
        x = F.conv2d(x, state[f"features.{layer}.weight"], state[f"features.{layer}.bias"], padding=1)
        x = x if layer == 34 else F.relu(x)
    features = vgg(picture)
    assert features.shape == (2, 512, 2, 3)
    torch.testing.assert_close(features, x)
    assert (features < 0).any()


def test_the_picture_gets_a_gradient_and_the_weights_none(vgg: Vgg19) -> None:
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2)).requires_grad_()
    vgg(picture).square().mean().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in vgg.parameters())
