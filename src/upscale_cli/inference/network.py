"""What the upscaler asks of a network: it knows tiles, a network knows what must be known of the whole picture."""

from typing import Protocol

from torch import Tensor

from upscale_cli.inference.tiling import Frame


class Network(Protocol):
    """A network that can be run in tiles with exactly the result of the whole picture.

    It is run in two halves. `partial` does the work on a tile; `finish` turns a tile's partial result into pixels, once
    `settle` knows what depends on the whole picture. A purely local network settles nothing.
    B samples at once are always the same tile of B turned or mirrored copies of one picture.
    """

    scale: int
    """Output pixels per input pixel and side."""
    halo: int
    """Input pixels that a tile must read beyond what it yields."""

    def tile_bytes(self, height: int, width: int) -> int:
        """Working memory of `partial` on one sample of height x width input pixels."""

    def measure(self, picture: Tensor) -> Tensor:
        """What must be known of the whole input before the first tile: (1, 3, H, W) in [0, 1] -> (1,)."""

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        """A tile's partial result: (B, 3, h, w) in [0, 1] with its halo -> (B, 3, scale h', scale w') without."""

    def contribution(self, partial: Tensor) -> Tensor:
        """What a tile adds to the picture's sum: (B, ...) -> (B,) float64."""

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:
        """The whole picture's quantity that `finish` needs: (B,), all ones where `finish` is purely local.

        measured: from `measure`.  total: the sum of all contributions.  pixels: of the output picture.
        """

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:
        """A tile's pixels in [0, 1], float32, the shape of `partial`; x and frame as given to `partial`."""

    def remarks(self, settled: Tensor) -> list[str]:
        """What the user should be told about this picture, in sentences."""
