"""Gradients in fewer bits of what is computed in all."""

import pytest
import torch
from torch import nn

from upscale_cli.networks.reduced_gradients import convolved


@pytest.fixture
def chain() -> nn.Sequential:
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 3, 5, padding=(2, 1))]
    return nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2])


def gradients(chain: nn.Sequential, bits: torch.dtype | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The result, and the gradients of its input and of the parameters; None for those of PyTorch's own layers."""
    x = torch.rand(2, 3, 12, 14, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = chain(x) if bits is None else convolved(x, list(chain[::2]), bits)
    return y.detach(), list(torch.autograd.grad((y * y.detach().sin()).sum(), [x, *chain.parameters()]))


@pytest.mark.parametrize(("bits", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_the_result_is_that_of_the_layers_and_gradients_are_near(chain: nn.Sequential, bits: torch.dtype, off: float):
    (y, exact), (same, near) = gradients(chain, None), gradients(chain, bits)
    torch.testing.assert_close(same, y, rtol=1e-5, atol=1e-6)
    assert [gradient.dtype for gradient in near] == [torch.float32] * 7
    for true, found in zip(exact, near, strict=True):
        assert found.shape == true.shape
        assert (found - true).norm() < off * true.norm()


def test_fewer_bits_are_used(chain: nn.Sequential):
    (_, full), (_, few) = gradients(chain, torch.float32), gradients(chain, torch.bfloat16)
    assert all((a - b).norm() > 1e-4 * a.norm() for a, b in zip(full, few, strict=True))


def test_an_input_that_is_given_needs_no_gradient(chain: nn.Sequential):
    x = torch.rand(1, 3, 9, 9)
    convolved(x, list(chain[::2]), torch.bfloat16).sum().backward()
    assert x.grad is None
    assert all(parameter.grad is not None for parameter in chain.parameters())
