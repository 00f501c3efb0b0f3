"""CycleSR's networks as the upscaler runs them: in tiles that look as far as the network does."""

# ruff: noqa: ARG002 - nothing here depends on the whole picture
import torch
from torch import Tensor

from upscale_cli.inference.convolution import placed
from upscale_cli.inference.device import Placement
from upscale_cli.inference.tiling import Frame
from upscale_cli.methods.cyclesr.generator import Generator, Kernels, upsample
from upscale_cli.methods.cyclesr.srresnet import PART


class LocalNetwork:
    """A network of which nothing depends on the whole picture (an `inference.network.Network`)."""

    def __init__(self, generator: Generator, placement: Placement) -> None:
        self._settings = generator.settings
        self.scale: int = generator.settings.scale
        self.halo = generator.halo
        self._itemsize = placement.dtype.itemsize
        self._kernels: Kernels = placed(generator.kernels(placement.dtype), placement.device)

    def tile_bytes(self, height: int, width: int) -> int:
        """Three feature maps are alive at once, one more in float32, and three of the enlarged picture.

        SRResNet's enlarged maps, three too, are those of a part; that is reckoned as in a tile of 256 pixels.
        """
        pixels = self.scale**2
        maps = 3 + 3 * pixels * (self._settings.network == "srresnet") * (PART / 256) ** 2
        each = self._settings.features * (maps * self._itemsize + 4) + 3 * 3 * 4 * pixels
        return int(each) * height * width

    def measure(self, picture: Tensor) -> Tensor:
        """Nothing, (1,)."""
        return picture.new_zeros(1)

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        """The tile's enlarged picture, not clipped."""
        residual = self._kernels.residual(x.contiguous(memory_format=torch.channels_last), frame.edges)
        upsampled = _cropped(upsample(x, self.scale), frame, self.scale)
        # On sides that are borders the network's output holds what the tile read beyond what it yields.
        margins = frame._replace(**{side: getattr(frame, side) * edge for side, edge in frame.edges._asdict().items()})
        return upsampled.add_(_cropped(residual, margins, self.scale))

    def contribution(self, partial: Tensor) -> Tensor:
        """Nothing, (B,)."""
        return partial.new_zeros(len(partial), dtype=torch.float64)

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:
        """Ones, (B,): `finish` needs nothing of the whole picture."""
        return torch.ones_like(measured)

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:
        """The tile, clipped."""
        return partial.clamp(0, 1)

    def remarks(self, settled: Tensor) -> list[str]:
        """None."""
        return []


def _cropped(x: Tensor, frame: Frame, scale: int) -> Tensor:
    """(B, 3, H, W) without what surrounds the tile's inner box in it."""
    left, right, top, bottom = (scale * side for side in frame[:4])
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
