"""A purely local network run several times, each time on what it has made, in tiles as exact as its own."""

from torch import Tensor

from upscale_cli.inference.network import Network
from upscale_cli.inference.tiling import Frame


class Cascade:
    """`network` after itself, `passes` times (an `inference.network.Network`).  It must settle nothing."""

    def __init__(self, network: Network, passes: int) -> None:
        self._network = network
        self._passes = passes
        self.scale = network.scale**passes
        # What the tile of each pass must reach beyond its inner box, the first pass first, in its own input pixels.
        self._halos = [network.halo]
        for _ in range(passes - 1):
            self._halos.insert(0, network.halo + -(-self._halos[0] // network.scale))
        self.halo = self._halos[0]

    def tile_bytes(self, height: int, width: int) -> int:
        """The last pass has the largest tile."""
        larger = self._network.scale ** (self._passes - 1)
        return self._network.tile_bytes(larger * height, larger * width)

    def measure(self, picture: Tensor) -> Tensor:
        """The network's."""
        return self._network.measure(picture)

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        """All passes: the tile's pixels already."""
        for halo in self._halos[1:]:
            # As much around the next pass' inner box as that reads, and up to the border where there is one.
            kept = -(-halo // self._network.scale)
            sides = [side if edge else kept for side, edge in zip(frame[:4], frame.edges, strict=True)]
            left, right, top, bottom = (side - keep for side, keep in zip(frame[:4], sides, strict=True))
            x = self._pass(x, Frame(left, right, top, bottom, frame.edges))
            left, right, top, bottom = (self._network.scale * side for side in sides)
            frame = Frame(left, right, top, bottom, frame.edges)
        return self._pass(x, frame)

    def contribution(self, partial: Tensor) -> Tensor:
        """The network's."""
        return self._network.contribution(partial)

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:
        """The network's: ones."""
        return self._network.settle(measured, total, pixels)

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:  # noqa: ARG002 - a protocol
        """What `partial` has made."""
        return partial

    def remarks(self, settled: Tensor) -> list[str]:
        """The network's."""
        return self._network.remarks(settled)

    def _pass(self, x: Tensor, frame: Frame) -> Tensor:
        return self._network.finish(x, self._network.partial(x, frame), frame, x.new_ones(len(x)))
