"""CycleGAN's generator (Zhu et al. 2017, appendix 7.2): from one domain's pictures to another's."""

from itertools import pairwise

from torch import Tensor, nn

from upscale_cli.networks.patch_discriminator import Norm, normalisation

HALVINGS = 2
"""Convolutions that halve the picture before the residual blocks, and double it behind them, unless told otherwise."""


def smallest_translated(halvings: int = HALVINGS) -> int:
    """Pixels a side, at least: reflection needs four of the picture, and two of the halved one."""
    return max(4, (1 << halvings) + 1)


class ResnetGenerator(nn.Module):
    """7x7, two halvings, residual blocks, two doublings, 7x7, tanh; with the official parameter names.

    features: maps of the first convolution, twice as many with each halving.  blocks: residual blocks (CycleGAN: 9, or
    6 for pictures of 128 pixels).  norm: instance norm has neither parameters nor a memory.  (none: ours.)
    The official initialisation is `normal_` of `networks/initialisation.py`.
    """

    def __init__(self, features: int = 64, blocks: int = 9, norm: Norm = "instance", halvings: int = HALVINGS) -> None:
        super().__init__()
        widths = [features * 2**step for step in range(halvings + 1)]
        # Batch norm has a bias of its own; the official code keeps the convolution's before instance norm.
        bias = norm != "batch"
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, features, 7, bias=bias)]
        layers += _normed(features, norm)
        for before, width in pairwise(widths):
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=bias), *_normed(width, norm)]
        layers += [ResnetBlock(widths[-1], norm) for _ in range(blocks)]
        for before, width in pairwise(reversed(widths)):
            doubling = nn.ConvTranspose2d(before, width, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += [doubling, *_normed(width, norm)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(features, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) RGB in [-1, 1], sides of `smallest_translated` pixels at least -> the same shape, in [-1, 1].

        Where a side is no multiple of four, the official code's picture has up to three more rows or columns at its
        end; here they are cut off, so that the two can be compared pixel by pixel.
        """
        y: Tensor = self.model(x)
        return y[:, :, : x.shape[2], : x.shape[3]]


class ResnetBlock(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x))))), 3x3 each, by reflection."""

    def __init__(self, features: int, norm: Norm) -> None:
        super().__init__()
        bias = norm != "batch"
        self.conv_block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(features, features, 3, bias=bias), *_normed(features, norm)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(features, features, 3, bias=bias), *normalisation(features, norm)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, h, w) -> the same shape."""
        out: Tensor = x + self.conv_block(x)
        return out


def _normed(features: int, norm: Norm) -> list[nn.Module]:
    return [*normalisation(features, norm), nn.ReLU()]
