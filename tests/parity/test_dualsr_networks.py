"""DualSR's networks and losses against numbers from its authors' own code.

dualsr_networks.npz: state.<network>.<tensor>, made-up weights of 16 features under the official names; networks.*, what
the networks make of pictures (B, H, W, 3) uint8; losses.* and terms, what each loss is on another two, unweighted but
for those that carry their weight in the released code; moved.<network>.<tensor>, how far one step of Adam moves each.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from upscale_cli.methods.dualsr.adaptation import Adaptation
from upscale_cli.methods.dualsr.config import AdaptationSettings
from upscale_cli.methods.dualsr.discriminator import Discriminator
from upscale_cli.methods.dualsr.downsampler import Downsampler, downsample
from upscale_cli.methods.dualsr.generator import Generator, GeneratorSettings
from upscale_cli.methods.dualsr.imresize import doubled
from upscale_cli.methods.dualsr.kernels import centred
from upscale_cli.methods.dualsr.losses import sobel
from upscale_cli.methods.dualsr.regularisation import Regularisation, penalty_mask
from upscale_cli.training.datasets import Batch
from upscale_cli.training.learner import Learner
from upscale_cli.training.processes import Processes

GOLDEN = np.load(Path(__file__).with_name("dualsr_networks.npz"))
TERMS = dict(zip(GOLDEN["term_names"].tolist(), GOLDEN["terms"].tolist(), strict=True))
# What batch norm takes away again has no gradient but rounding, which Adam makes a step of.
UNMOVED = {"first_layer.bias", *(f"feature_block.{layer}.bias" for layer in (0, 3, 6, 9, 12))}
SETTINGS = GeneratorSettings(features=16)


def _golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def _picture(name: str) -> Tensor:
    return _golden(name).permute(0, 3, 1, 2) / 255


def _loaded(network: nn.Module, name: str) -> nn.Module:
    prefix = f"state.{name}."
    network.load_state_dict({key.removeprefix(prefix): _golden(key) for key in GOLDEN.files if key.startswith(prefix)})
    return network


@pytest.fixture
def adaptation() -> Adaptation:
    """With the made-up networks, ready to learn from batches that it has not drawn."""
    settings = AdaptationSettings(generator=SETTINGS, patch=40, max_steps=2)
    learning = Adaptation(np.full((64, 64, 3), 99, np.uint8), settings)
    learning.G_DN, learning.D_DN = Downsampler(16), Discriminator(16)
    for name in ("G_UP", "G_DN", "D_DN"):
        _loaded(getattr(learning, name), name)
    groups = zip(("up", "down", "judge"), ("G_UP", "G_DN", "D_DN"), strict=True)
    for group, name in groups:
        learning.groups[group].networks[name] = getattr(learning, name)  # type: ignore[index]
    return learning


@torch.no_grad()
def test_upsampler():
    network = _loaded(Generator(SETTINGS), "G_UP")
    torch.testing.assert_close(network(_picture("networks.lr")), _golden("networks.up_output"), atol=5e-5, rtol=0)


@torch.no_grad()
def test_downsampler_and_its_kernel():
    network = _loaded(Downsampler(16), "G_DN")
    torch.testing.assert_close(network.kernel(), _golden("networks.down_kernel"), atol=1e-5, rtol=0)
    torch.testing.assert_close(network(_picture("networks.hr")), _golden("networks.down_output"), atol=5e-5, rtol=0)


def test_the_kernel_has_the_gradients_of_the_deep_network():
    network = _loaded(Downsampler(16), "G_DN").double()
    x = _picture("networks.hr").double()
    network(x).square().mean().backward()
    by_kernel = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    deep = x.reshape(-1, 1, *x.shape[2:])
    for layer in (network.first_layer, *network.feature_block, network.final_layer):
        deep = layer(deep)
    deep.square().mean().backward()
    for ours, weight in zip(by_kernel, network.parameters(), strict=True):
        torch.testing.assert_close(ours, weight.grad)


@torch.no_grad()
def test_discriminator():
    network = _loaded(Discriminator(16), "D_DN").eval()
    lr, fake = _picture("networks.lr"), _golden("networks.down_output")
    torch.testing.assert_close(network(lr), _golden("networks.disc_eval"), atol=5e-5, rtol=0)
    network.train()
    for x, name in ((lr, "disc_train_1"), (fake, "disc_train_2")):
        torch.testing.assert_close(network(x), _golden(f"networks.{name}"), atol=5e-5, rtol=0)
    torch.testing.assert_close(network.eval()(lr), _golden("networks.disc_eval_after"), atol=5e-5, rtol=0)


def test_bicubic_sobel_and_penalty():
    bicubic = doubled(_picture("losses.lr"))
    torch.testing.assert_close(bicubic, _golden("losses.lr_bicubic_x2"), atol=1e-6, rtol=0)
    torch.testing.assert_close(sobel(bicubic), _golden("losses.sobel"), atol=1e-5, rtol=0)
    torch.testing.assert_close(penalty_mask(), _golden("losses.boundaries_mask"), atol=1e-5, rtol=0)


def test_regularisers_of_a_kernel_with_negative_weights():
    hr, fake = _picture("losses.hr"), _golden("losses.fake_lr")
    terms = Regularisation().terms(_golden("losses.random_kernel"), hr, fake)
    for ours, official in (("sum", "sum2one"), ("boundaries",) * 2, ("centred", "centralized"), ("sparse",) * 2):
        assert terms[ours].item() == pytest.approx(TERMS[f"random_kernel_{official}"], rel=1e-4)


def test_regularisers_of_the_networks_kernel(adaptation):
    hr, kernel = _picture("losses.hr"), adaptation.G_DN.kernel()
    terms = adaptation.regularisation.terms(kernel, hr, adaptation.G_DN(hr))
    for ours, official in (("bicubic",) * 2, ("sum", "sum2one"), ("centred", "centralized"), ("sparse",) * 2):
        assert terms[ours].item() == pytest.approx(TERMS[f"reg_{official}"], rel=5e-4)


def test_a_step_has_the_official_terms_and_moves_the_weights_as_far(adaptation):
    learner = Learner(adaptation, adaptation.settings, Processes(torch.device("cpu")))
    before = {name: _copied(getattr(adaptation, name)) for name in ("G_UP", "G_DN", "D_DN")}
    learner.begin(0)
    adaptation.step(0, Batch(_picture("losses.lr"), _picture("losses.hr")), learner.update)
    shown = learner.end()
    official = {
        "gan": "gan", "cycle_forward": "cycle_forward", "cycle_backward": "cycle_backward",
        "interpolation": "masked_interpolation", "regularisation": "regularisation_weighted_total",
        "discriminator": "discriminator",
    }  # fmt: skip
    for ours, name in official.items():
        assert shown[ours] == pytest.approx(TERMS[name], rel=5e-4), ours
    for network, state in before.items():
        for name, value in _copied(getattr(adaptation, network)).items():
            if value.is_floating_point() and name not in UNMOVED:
                expected = float(GOLDEN[f"moved.{network}.{name}"])
                assert (value - state[name]).norm().item() == pytest.approx(expected, rel=0.05, abs=1e-6), name


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_kernels_are_moved_and_applied_as_the_official_code_does():
    """dualsr_kernels.npz: a kernel (13, 13), what the official shift makes of it with a pixel of margin, and a picture
    (30, 34, 3) uint8 that the kernel reduces."""
    golden = np.load(Path(__file__).with_name("dualsr_kernels.npz"))
    np.testing.assert_allclose(centred(np.pad(golden["kernel"], 1)), golden["kernel_shift_sf2"], atol=1e-9)
    picture = torch.from_numpy(golden["image_a"]).permute(2, 0, 1)[None] / 255
    reduced = downsample(picture, torch.from_numpy(golden["kernel"]).float())
    torch.testing.assert_close(reduced, torch.from_numpy(golden["downscaled"]), atol=1e-5, rtol=0)
