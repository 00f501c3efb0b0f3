"""G_SR of SRResCycGAN (section 3.3): bilinear upsampling, a residual network at high resolution, a projection.

Everything in this room works on RGB in [0, 255], as the paper does; `network.py` is the door where [0, 1] is rescaled.
The network's own border treatment is reflection before every convolution; before the last one, a transposed convolution
in the official code, it is zeros there and reflection in this project's own models. Tiles are computed with *valid*
convolutions on their inner sides and that treatment on the picture's border only, so that a tile is a part of the whole
picture's result.
"""

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscale_cli.inference.borders import inner, padded
from upscale_cli.inference.convolution import Convolution, convolve
from upscale_cli.inference.tiling import WHOLE, Edges
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.noise import estimate_noise

SCALE = 4
JOIN = 2 + 2
"""Output pixels that the encoder and the first block shrink an unpadded side by; behind them the context joins."""


class Block(NamedTuple):
    """A residual block's tensors; a slope is that of the PReLU before its convolution."""

    slope1: Tensor
    conv1: Convolution
    slope2: Tensor
    conv2: Convolution


class ContextKernels(NamedTuple):
    """The context's tensors with weight normalisation folded."""

    conv_in: Convolution
    blocks: tuple[Block, ...]
    conv_out: Convolution
    conv_image: Convolution

    @property
    def radius(self) -> int:
        """Receptive-field radius in input pixels."""
        return 1 + 2 * len(self.blocks) + 1


class Joined(NamedTuple):
    """What the context adds: (B, features, H, W) behind the first block, and (B, 3, H, W) in [0, 255] behind the last
    layer, at the output's resolution."""

    features: Tensor
    image: Tensor


class Kernels(NamedTuple):
    """The network's tensors with weight normalisation folded."""

    conv1: Convolution
    blocks: tuple[Block, ...]
    conv_out: Convolution
    context: ContextKernels | None = None

    @property
    def radius(self) -> int:
        """Receptive-field radius in output pixels, but for the context's: what the convolutions shrink an unpadded side
        by."""
        return JOIN + 2 * (len(self.blocks) - 1) + 2


class WeightNormed(nn.Module):
    """weight = g * v / ||v||, the norm taken over every axis but the first (weight normalisation).

    The official files keep `weight_g`, `weight_v` and `bias` under these names.
    """

    def __init__(self, first: int, second: int, size: int, bias: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(second * size * size)
        # PyTorch's own initialisation: the official He initialisation never reaches a weight-normalised layer
        self.weight_v = nn.Parameter(torch.empty(first, second, size, size).uniform_(-bound, bound))
        self.weight_g = nn.Parameter(self.weight_v.detach().flatten(1).norm(dim=1).reshape(first, 1, 1, 1))
        self.bias = nn.Parameter(torch.empty(bias).uniform_(-bound, bound))

    def weight(self) -> Tensor:
        """The folded weight, (first, second, size, size)."""
        norm = self.weight_v.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        weight: Tensor = self.weight_v * (self.weight_g / norm)
        return weight


class BasicBlock(nn.Module):
    """PReLU, 3x3, PReLU, 3x3 (section 3.3: pre-activation)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = WeightNormed(features, features, 3, features)
        self.relu1 = nn.PReLU(features, init=0.1)
        self.relu2 = nn.PReLU(features, init=0.1)
        self.conv2 = WeightNormed(features, features, 3, features)


class Context(nn.Module):
    """Residual blocks at the input's resolution (ours; the paper has none); only holds the parameters.

    What it gives begins at zero, as if it were not there.
    """

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.conv_in = WeightNormed(features, 3, 3, features)
        self.blocks = nn.Sequential(*(BasicBlock(features) for _ in range(blocks)))
        self.conv_out = WeightNormed(features, features, 3, features)
        self.conv_image = WeightNormed(3 * SCALE * SCALE, features, 3, 3 * SCALE * SCALE)
        for last in (self.conv_out, self.conv_image):
            nn.init.zeros_(last.weight_g)
            nn.init.zeros_(last.bias)


class ResDNet(nn.Module):
    """Encoder, residual blocks and decoder; only holds the parameters under their official names."""

    def __init__(self, features: int, blocks: int, context_blocks: int) -> None:
        super().__init__()
        self.conv1 = WeightNormed(features, 3, 5, features)
        self.layer1 = nn.Sequential(*(BasicBlock(features) for _ in range(blocks)))
        self.context = Context(features, context_blocks) if context_blocks else None
        # A transposed convolution in the official code: its first axis is the input channel.
        self.conv_out = WeightNormed(features, 3, 5, 3)


class Generator(nn.Module):
    """G_SR with the official parameter names; (B, 3, h, w) RGB in [0, 255] -> (B, 3, 4h, 4w) in [0, 255]."""

    additions: ClassVar[tuple[str, ...]] = ("model.context.",)
    """Tensors that begin as if they were not there: the others' weights are those of a network without them."""

    def __init__(self, settings: GeneratorSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or GeneratorSettings()
        # The official checkpoints have learned about 9 for the upsampled picture's tiny sigma. The robust estimate is
        # in grey levels of the input itself, where a few times sigma is the size of a residual.
        start = 9.0 if self.settings.noise_estimate == "upsampled" else math.log(8.0)
        self.alpha = nn.Parameter(torch.tensor([start]))
        self.model = ResDNet(self.settings.features, self.settings.blocks, self.settings.context_blocks)

    def kernels(self, body: torch.dtype = torch.float32) -> Kernels:
        """The folded tensors; differentiable, so that training and inference share one network.

        body: dtype of the residual blocks. Encoder and decoder keep float32: this network amplifies rounding there.
        """
        model = self.model
        blocks = _blocks_tensors(model.layer1, body, "reflect")
        # With stride 1 a transposed convolution is a convolution with the kernel turned by 180 degrees.
        last = model.conv_out.weight().flip(2, 3).transpose(0, 1)
        first = Convolution(model.conv1.weight(), model.conv1.bias, "reflect")
        decoder = Convolution(last, model.conv_out.bias, self.settings.decoder_padding)
        return Kernels(first, blocks, decoder, _context_tensors(model.context, body))

    def forward(self, y: Tensor, body: torch.dtype = torch.float32) -> Tensor:
        """x = clip(up(y) - projection(residual)), section 3.3."""
        upsampled = upsample(y)
        sigma = estimate_noise(y, self.settings.noise_estimate)
        kernels = self.kernels(body)
        r = residual(upsampled, kernels, context=join(y, kernels))
        factor = projection_factor(residual_energy(r), sigma, self.alpha, r[0].numel())
        return (upsampled - r * factor.reshape(-1, 1, 1, 1)).clamp(0, 255)


def upsample(y: Tensor) -> Tensor:
    """Bilinear x4 with half-pixel centres. The paper says bicubic; the released weights were trained on bilinear."""
    return F.interpolate(y, scale_factor=SCALE, mode="bilinear", align_corners=False)


def residual(upsampled: Tensor, kernels: Kernels, edges: Edges = WHOLE, context: Joined | None = None) -> Tensor:
    """The decoder's output before the projection: what is to be taken away from the upsampled picture.

    upsampled: (B, 3, H, W) in [0, 255] -> (B, 3, H', W'), smaller by `kernels.radius` on each side that is not a border
    of the picture, H' and W' even.  The dtype of `kernels.blocks` is the body's; the other layers bring their own.
    context: of `join`, smaller than `upsampled` by JOIN on those sides.
    """
    x = convolve(upsampled.contiguous(memory_format=torch.channels_last), kernels.conv1, edges)
    first, *others = kernels.blocks
    x = _through(x.to(first.slope1.dtype), first, edges)  # the official first block has no shortcut
    if context is not None:
        x = x + context.features
    for block in others:
        x = _through(x, block, edges).add_(inner(x, 2, edges))
    r = _decode(x, kernels.conv_out, edges)
    return r if context is None else r + inner(context.image, kernels.radius - JOIN, edges)


def join(y: Tensor, kernels: Kernels, edges: Edges = WHOLE, excess: int = 0) -> Joined | None:
    """What the context adds to `residual`: features enlarged as the picture is, and an image by sub-pixel convolution
    (Shi et al., CVPR 2016); None where there is no context.

    y: (B, 3, h, w) in [0, 255] -> 4 h' by 4 w', h' and w' smaller by `kernels.context.radius`, and then by `excess`
    output pixels, on each side that is not a border of the picture.
    """
    if kernels.context is None:
        return None
    conv_in, blocks, conv_out, conv_image = kernels.context
    x = convolve(y.contiguous(memory_format=torch.channels_last), conv_in, edges).to(conv_out.weight.dtype)
    for block in blocks:
        x = _through(x, block, edges).add_(inner(x, 2, edges))
    features = upsample(convolve(x, conv_out, edges))
    image = F.pixel_shuffle(convolve(x.float(), conv_image, edges), SCALE)
    return Joined(inner(features, excess, edges), inner(image, excess, edges))


def residual_energy(r: Tensor) -> Tensor:
    """||r||^2 of each sample, in float64: (B, 3, H, W) -> (B,)."""
    return r.flatten(1).double().square().sum(1)


def projection_factor(energy: Tensor, sigma: Tensor, alpha: Tensor, size: int) -> Tensor:
    """The projection layer's factor epsilon / max(||r||, epsilon), with epsilon = exp(alpha) sigma sqrt(CHW - 1).

    energy: ||r||^2 (B,).  sigma: noise level in grey levels (B,).  size: C*H*W -> (B,) float32, 1 where inactive.
    """
    epsilon = noise_bound(sigma, alpha, size)
    return (epsilon / torch.maximum(energy.sqrt(), epsilon).clamp_min(1e-30)).float()


def noise_bound(sigma: Tensor, alpha: Tensor, size: int) -> Tensor:
    """epsilon = exp(alpha) sigma sqrt(CHW - 1), the largest residual norm that the projection lets pass; (B,)."""
    return torch.exp(alpha.double()) * sigma.double() * math.sqrt(size - 1)


def _through(x: Tensor, block: Block, edges: Edges) -> Tensor:
    """A block without its shortcut."""
    out = convolve(F.prelu(x, block.slope1), block.conv1, edges)
    return convolve(F.prelu(out, block.slope2), block.conv2, edges)


def _context_tensors(context: Context | None, dtype: torch.dtype) -> ContextKernels | None:
    if context is None:
        return None
    # An input pixel's width cannot be mirrored in a picture that is no larger.
    border = "replicate"
    first, image = (_folded(conv, torch.float32, border) for conv in (context.conv_in, context.conv_image))
    features = _folded(context.conv_out, dtype, border)
    return ContextKernels(first, _blocks_tensors(context.blocks, dtype, border), features, image)


def _blocks_tensors(blocks: nn.Sequential, dtype: torch.dtype, border: str) -> tuple[Block, ...]:
    return tuple(_block_tensors(block, dtype, border) for block in blocks if isinstance(block, BasicBlock))


def _block_tensors(block: BasicBlock, dtype: torch.dtype, border: str) -> Block:
    slope1, slope2 = (relu.weight.to(dtype) for relu in (block.relu1, block.relu2))
    return Block(slope1, _folded(block.conv1, dtype, border), slope2, _folded(block.conv2, dtype, border))


def _folded(layer: WeightNormed, dtype: torch.dtype, border: str) -> Convolution:
    """A convolution with its weight normalisation folded."""
    return Convolution(layer.weight().to(dtype), layer.bias.to(dtype), border)


def _decode(x: Tensor, conv: Convolution, edges: Edges) -> Tensor:
    """The last convolution, (B, features, H, W) -> (B, 3, H', W') float32; H' and W' are even."""
    weight, bias, padding = conv
    if weight.requires_grad:
        return convolve(x.float(), conv, edges)
    kernels = _of_four_pixels(_rounded(weight, x.dtype)).contiguous(memory_format=torch.channels_last)
    x = padded(x, weight.shape[-1] // 2, edges, "constant" if padding == "zeros" else padding)
    return F.pixel_shuffle(F.conv2d(x, kernels, stride=2), 2).float() + bias.reshape(1, 3, 1, 1)


def _rounded(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A kernel in `dtype` whose taps have the exact kernel's sum for every feature, but for one rounding.

    What one tap's rounding loses the next one gets; otherwise colours would drift by some hundredths of a grey level.
    """
    taps = weight.flatten(2).clone()
    for tap in range(taps.shape[2] - 1):
        taps[..., tap + 1] += taps[..., tap] - taps[..., tap].to(dtype)
    return taps.to(dtype).view_as(weight)


def _of_four_pixels(weight: Tensor) -> Tensor:
    """The same convolution of 2x2 pixels at once, for stride 2 and a pixel shuffle.

    (C, features, h, w) -> (4 C, features, h + 1, w + 1).

    A CPU computes sixteen channels of output in the time of one.
    """
    channels, features, height, width = weight.shape
    kernels = weight.new_zeros(channels, 2, 2, features, height + 1, width + 1)
    for row in range(2):
        for column in range(2):
            kernels[:, row, column, :, row : row + height, column : column + width] = weight
    return kernels.flatten(0, 2)
