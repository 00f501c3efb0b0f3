"""What the upscaler asks of a network: it knows tiles, a network knows what must be known of the whole picture."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from upscale_cli.inference.feature_map import FeatureMap
from upscale_cli.inference.tiling import Edges, Frame


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


@runtime_checkable
class StagedNetwork(Protocol):
    """A network whose blocks each need means over the whole picture (channel attention), and so advance together.

    It is run in two parts: `features` is written in whole-picture feature maps, which go tile by tile through each of
    its steps; `pixels` then turns tiles of the last feature map into pixels.
    """

    @property
    def scale(self) -> int:
        """Output pixels per input pixel and side."""

    @property
    def halo(self) -> int:
        """Input pixels that `pixels` must read beyond what it yields, and the most that any step of `features` must."""

    @property
    def work(self) -> float:
        """Time of the whole run, in mean steps of `features`: what `pixels` takes is the rest."""

    def tile_bytes(self, height: int, width: int) -> int:
        """Working memory of the largest step on height x width input pixels."""

    def feature_bytes(self, height: int, width: int) -> int:
        """Memory of the feature maps that are held at once between steps, for height x width input pixels."""

    def features(self, picture: FeatureMap) -> FeatureMap:
        """Of the whole input (1, 3, H, W) in [0, 1]: the last feature map of its size."""

    def pixels(self, features: Tensor, edges: Edges) -> Tensor:
        """A tile's pixels in [0, 1], float32: (1, C, h, w) with its halo -> (1, 3, scale h', scale w') without."""


AnyNetwork = Network | StagedNetwork
