"""Any method's network for anyone to train."""

import torch
from torch import Tensor, nn

from upscale_cli.networks.unit_range import UnitRange


class Levels(nn.Module):
    """Remembers what it saw, and makes it five levels brighter."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(5.0))

    def forward(self, x: Tensor, body: torch.dtype) -> Tensor:
        self.seen, self.body = x.max().item(), body
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3) + self.offset


def test_white_is_one_outside_and_the_papers_level_inside():
    network = UnitRange(Levels(), 2, white=255)
    output = network(torch.ones(1, 3, 4, 5), torch.bfloat16)
    assert network.generator.seen == 255
    assert network.generator.body == torch.bfloat16
    assert output.shape == (1, 3, 8, 10)
    torch.testing.assert_close(output, torch.full_like(output, 1 + 5 / 255))


def test_the_generators_tensors_are_a_checkpoints():
    network = UnitRange(Levels(), 2)
    assert list(network.generator.state_dict()) == ["offset"]
    network(torch.ones(1, 3, 2, 2)).sum().backward()
    assert network.generator.offset.grad is not None
