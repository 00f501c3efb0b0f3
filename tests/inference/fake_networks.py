"""Networks small enough to be checked by hand, for the tests of this room."""

import torch
import torch.nn.functional as F
from torch import Tensor

from upscale_cli.inference.feature_map import FeatureMap
from upscale_cli.inference.tiling import Edges, Frame

# No two of its turned copies are alike, so that a turn that is not undone shows.
KERNEL = torch.tensor([[0.1, 0.2, 0.05], [0.0, 0.3, 0.15], [0.02, 0.08, 0.1]])


class FakeNetwork:
    """Each pixel becomes a weighted sum of its 3x3 neighbours (black beyond the picture), twice as large.

    level: what the whole picture's mean is brought down to, as a quantity that no tile can know; None for a local one.
    capacity: a tile with more pixels than this, halo included, does not fit into memory.
    """

    scale = 2
    halo = 1

    def __init__(self, level: float | None = None, capacity: int | None = None, error: Exception | None = None) -> None:
        self.level = level
        self.capacity = capacity
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen: list[tuple[int, ...]] = []

    def tile_bytes(self, height: int, width: int) -> int:
        return 1000 * height * width

    def measure(self, picture: Tensor) -> Tensor:
        return picture.amax(dim=(1, 2, 3))

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        self.seen.append(tuple(x.shape))
        if self.capacity is not None and x.shape[2] * x.shape[3] > self.capacity:
            raise self.error
        edges = frame.edges
        x = F.pad(x, [int(side) for side in (edges.left, edges.right, edges.top, edges.bottom)])
        x = F.conv2d(x, KERNEL.expand(3, 1, 3, 3), groups=3)
        left, right, top, bottom = (side * edge for side, edge in zip(frame[:4], edges, strict=True))
        x = x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def contribution(self, partial: Tensor) -> Tensor:
        return partial.double().sum(dim=(1, 2, 3))

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:
        if self.level is None:
            return torch.ones_like(measured)
        return (self.level / (total / (3 * pixels))).clamp(max=1).float()

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:
        return partial * settled.reshape(-1, 1, 1, 1)

    def remarks(self, settled: Tensor) -> list[str]:
        return [f"settled at {float(settled.mean()):.3f}"] if self.level is not None else []


class FakeAttentionNetwork:
    """Two blocks with channel attention over three features (the colours), then twice as large.

    local: forgets about channel attention, so that only convolutions are left.  capacity, error: as above.
    """

    scale = 2
    halo = 1
    work = 4.0

    def __init__(self, *, local: bool = False, capacity: int | None = None, error: Exception | None = None) -> None:
        self.local = local
        self.capacity = capacity
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen: list[tuple[int, ...]] = []

    def tile_bytes(self, height: int, width: int) -> int:
        return 1000 * height * width

    def feature_bytes(self, height: int, width: int) -> int:
        return 3 * 12 * height * width

    def features(self, picture: FeatureMap) -> FeatureMap:
        head = picture.convolved(self._convolve, 1)
        body = head.copy()
        for _ in range(2):
            body.add_attended(self._deep, 2, self._weights)
        head.add_convolved(body, self._convolve, 1)
        return head

    def pixels(self, features: Tensor, edges: Edges) -> Tensor:
        x = self._convolve(features, edges).sigmoid()
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def _deep(self, x: Tensor, edges: Edges) -> Tensor:
        return self._convolve(self._convolve(x, edges).relu(), edges)

    def _weights(self, means: Tensor) -> Tensor:
        if self.local:
            return torch.ones(1, 3, 1, 1)
        return torch.sigmoid(20 * means - 5).float().reshape(1, 3, 1, 1)

    def _convolve(self, x: Tensor, edges: Edges) -> Tensor:
        self.seen.append(tuple(x.shape))
        if self.capacity is not None and x.shape[2] * x.shape[3] > self.capacity:
            raise self.error
        x = F.pad(x, [int(side) for side in (edges.left, edges.right, edges.top, edges.bottom)])
        return F.conv2d(x, KERNEL.expand(3, 1, 3, 3), groups=3)
