"""The processes that train together: one, or those that `torchrun` has started, each with its part of every batch.

accelerate joins them (which backend, which device for whom). Networks are not wrapped, as its and PyTorch's DDP would:
a GAN's step runs each network several times and differentiates it for some of its parameters only, which those wrappers
do not allow. Gradients are averaged here instead, after each backward pass, and so is what a loss or a layer needs of
the whole batch; so a step is the step of one process with all of the batch.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """How many there are, which of them this is (from 0), and the device it computes on."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Is this the one that writes files and speaks?"""
        return self.rank == 0

    def samples(self, batch: int) -> range:
        """This process's samples of a batch to which each process gives `batch`."""
        return range(self.rank * batch, (self.rank + 1) * batch)

    def agreed(self, wish: bool) -> bool:
        """Does any of them wish it?  The same answer in all."""
        if self.count == 1:
            return wish
        answer = torch.tensor(float(wish), device=self.device)
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer.item())

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Puts the mean over the processes into each of `tensors`, of one dtype, all at once."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat.div_(self.count), [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def is_first() -> bool:
    """Is this the only process, or the first of those that `torchrun` has started?"""
    return int(os.environ.get("RANK", "0")) == 0


def count() -> int:
    """How many processes `torchrun` has started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes of this run; with several, each on its own device of the kind of `device`, and all end together."""
    if count() == 1:
        yield Processes(device)
        return
    from accelerate import PartialState  # takes seconds to import, and one process has no use for it

    state = PartialState(cpu=device.type == "cpu")
    yield Processes(state.device, state.process_index, state.num_processes)
    # Not where something was raised: the others may never come.
    # Gloo's threads may hold on to the last tensors for a while, and abort a process that ends before they let go.
    dist.barrier()
    state.destroy_process_group()


def mean_over_processes(x: Tensor) -> Tensor:
    """The mean over the processes of a tensor that all have in one shape; gradients reach the tensors of all."""
    if not (dist.is_available() and dist.is_initialized()):
        return x
    mean: Tensor = _Mean.apply(x)  # type: ignore[no-untyped-call]
    return mean


def gathered(x: Tensor) -> Tensor:
    """(B, ...) of each process, one after another -> (processes * B, ...), the same in all; without a gradient."""
    if not (dist.is_available() and dist.is_initialized()):
        return x.detach()
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def own_part(x: Tensor) -> Tensor:
    """Of what was `gathered`, what came from this process: (processes * B, ...) -> (B, ...)."""
    if not (dist.is_available() and dist.is_initialized()):
        return x
    return x.chunk(dist.get_world_size())[dist.get_rank()]


class _Mean(torch.autograd.Function):
    """The mean over the processes. Each one's tensor moves what all of them make of it, so its gradient is the mean of
    theirs."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return _Mean.forward(_context, gradient)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes' samples. PyTorch's own knows GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = x.numel() // x.shape[1]
        mean = mean_over_processes(values.mean((0, 2, 3)))
        # Of differences: the mean square less the square of the mean is rounding errors where values hardly differ.
        variance = mean_over_processes((values - mean[:, None, None]).square().mean((0, 2, 3)))
        with torch.no_grad():
            count *= dist.get_world_size() if dist.is_initialized() else 1
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * count / (count - 1), momentum)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        y: Tensor = values * scale[:, None, None] + shift[:, None, None]
        return y.to(x.dtype)


def share_batch_norm(network: nn.Module) -> None:
    """Lets every batch normalisation in `network` see all processes' samples; names and parameters stay."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d
