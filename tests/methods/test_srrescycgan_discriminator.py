"""D_x and D_y: what they look at, how far, and that they can be trained in either precision."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.errors import UsageError
from upscale_cli.losses.adversarial import gan_loss
from upscale_cli.methods.srrescycgan.discriminator import DiscriminatorX, DiscriminatorY
from upscale_cli.networks.high_frequencies import high_frequencies


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> Iterator[None]:
    """These networks are tiny: more than one thread only costs time."""
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _unsettle(network: nn.Module) -> None:
    """Statistics and scales as training leaves them, so that a swapped or forgotten one shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.copy_(torch.rand(len(values)) + 0.5)


def _plain_d_x(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Section 3.3's D_x once more, in float64 and step by step; stored statistics."""
    mean = F.unfold(F.pad(x, (4, 4, 4, 4)), 9).reshape(*x.shape[:2], 81, *x.shape[2:]).mean(2)
    x = 0.5 + 0.5 * (x - mean)
    for stage in range(5):
        for part, (stride, padding) in enumerate([(1, 1), (2, 1)]):
            x = F.conv2d(x, state[f"conv{stage}_{part}.weight"], state.get(f"conv{stage}_{part}.bias"), stride, padding)
            if (stage, part) != (0, 0):
                norm = [state[f"bn{stage}_{part}.{name}"][:, None, None] for name in ("running_mean", "running_var")]
                scale, shift = (state[f"bn{stage}_{part}.{name}"][:, None, None] for name in ("weight", "bias"))
                x = (x - norm[0]) / (norm[1] + 1e-5).sqrt() * scale + shift
            x = torch.where(x > 0, x, 0.2 * x)
    x = x.flatten(1) @ state["linear1.weight"].T + state["linear1.bias"]
    return torch.where(x > 0, x, 0.2 * x) @ state["linear2.weight"].T + state["linear2.bias"]


def test_d_x_is_ten_convolutions_from_64_to_512_maps():
    with torch.device("meta"):
        network = DiscriminatorX()
    kernels = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [shape[0] for shape in kernels] == [64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    assert [shape[2] for shape in kernels] == [3, 4] * 5
    assert sum(p.numel() for p in network.parameters()) == 14_499_401


@torch.no_grad()
def test_d_x_is_what_a_plain_implementation_gives():
    network = DiscriminatorX(features=2, patch=64).eval()
    _unsettle(network)
    x = torch.rand(2, 3, 64, 64) * 255
    expected = _plain_d_x(x.double(), {name: value.double() for name, value in network.state_dict().items()})
    assert expected[0] != expected[1]
    torch.testing.assert_close(network(x).double(), expected, rtol=1e-4, atol=1e-4)


def test_a_patch_that_cannot_be_halved_is_refused():
    with pytest.raises(UsageError, match="patch of 100 pixels"):
        DiscriminatorX(patch=100)
    with pytest.raises(UsageError):
        DiscriminatorX(patch=0)


def test_d_y_judges_patches_of_thirteen_pixels():
    network = DiscriminatorY(features=4, high_pass=False).eval()
    y = (torch.rand(1, 3, 21, 23) * 255).requires_grad_()
    logits = network(y)
    assert logits.shape == (1, 1, 21, 23)
    logits[0, 0, 10, 11].backward()
    assert y.grad is not None
    seen = (y.grad[0] != 0).any(0).nonzero()
    assert seen.min(0).values.tolist() == [4, 5]
    assert seen.max(0).values.tolist() == [16, 17]


@torch.no_grad()
def test_levels_count_only_without_the_high_pass():
    y = torch.rand(1, 3, 16, 16) * 200
    for high_pass in (True, False):
        network = DiscriminatorY(features=4, high_pass=high_pass).eval()
        assert torch.allclose(network(y), network(y + 50), atol=1e-5) == high_pass


def test_the_mean_counts_the_border_or_not():
    ones = torch.ones(1, 1, 7, 7)
    assert torch.equal(high_frequencies(ones, 5, count_border=False), torch.full_like(ones, 0.5))
    counted = high_frequencies(ones, 5, count_border=True)[0, 0]
    assert counted[3, 3] == 0.5
    assert counted[0, 0].item() == pytest.approx(0.5 + 0.5 * (1 - 9 / 25))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("build", [lambda: DiscriminatorX(features=4, patch=32), lambda: DiscriminatorY(features=4)])
def test_every_parameter_gets_a_finite_gradient(build, precision: str):
    network = build()
    x = (torch.rand(3, 3, 32, 32) * 255).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        gan_loss(network(x), real=True).backward()
    for name, gradient in [("input", x.grad), *((name, p.grad) for name, p in network.named_parameters())]:
        assert gradient is not None, name
        assert bool(torch.isfinite(gradient).all()), name
        # Batch norm takes away what a bias before it adds: its gradient is rounding noise, if anything.
        assert bool((gradient != 0).any()) or name in ("net.2.bias", "net.5.bias"), name


@pytest.mark.parametrize("build", [lambda: DiscriminatorX(features=8, patch=32), lambda: DiscriminatorY(features=8)])
def test_a_few_steps_tell_sharp_from_blurred(build):
    network = build()
    real = torch.rand(4, 3, 32, 32) * 255
    fake = F.avg_pool2d(real, 3, 1, 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    course = []
    for _ in range(12):
        # In one batch: a batch norm that sees each side alone hides how strong its details are.
        logits = network(torch.cat([real, fake]))
        loss = gan_loss(logits[:4], real=True) + gan_loss(logits[4:], real=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.append(loss.item())
    assert course[-1] < 0.5 * course[0]
