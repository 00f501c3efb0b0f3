"""The generator against the paper, written down a second time as plainly as can be, in float64 and with loops."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import (
    Generator,
    WeightNormed,
    _rounded,
    join,
    noise_bound,
    projection_factor,
    residual,
    residual_energy,
    upsample,
)
from upscale_cli.methods.srrescycgan.noise import DB7

Array = np.ndarray
SMALL = GeneratorSettings(features=4, blocks=3)


def made_up(settings: GeneratorSettings = SMALL, alpha: float = 9.0) -> Generator:
    """A generator whose tensors are all far from their initial values, and whose residual is tens of levels."""
    generator, random = Generator(settings), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.uniform_(-0.9, 0.9, generator=random)
        generator.model.conv_out.weight_g.mul_(30)
        generator.alpha.fill_(alpha)
    return generator


def picture(height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(3)).float()


def _weight(state: dict[str, Array], name: str) -> Array:
    """g v / ||v|| for each index of the first axis."""
    g, v = state[f"{name}.weight_g"], state[f"{name}.weight_v"]
    return np.stack([g[i] * v[i] / math.sqrt((v[i] ** 2).sum()) for i in range(len(v))])


def _convolution(x: Array, weight: Array, bias: Array, border: str) -> Array:
    """Cross-correlation of (C, H, W), continued beyond its border, with (C', C, k, k)."""
    size = weight.shape[-1]
    _, height, width = x.shape
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2), mode=border)
    out = np.zeros((len(weight), height, width)) + bias[:, None, None]
    for i in range(size):
        for j in range(size):
            out += np.tensordot(weight[:, :, i, j], x[:, i : i + height, j : j + width], 1)
    return out


def _transposed_convolution(x: Array, weight: Array, bias: Array) -> Array:
    """Every value of (C, H, W) spreads its kernel (C', k, k) around itself; what falls outside is lost."""
    size = weight.shape[-1]
    _, height, width = x.shape
    out = np.zeros((weight.shape[1], height + size - 1, width + size - 1))
    for i in range(size):
        for j in range(size):
            out[:, i : i + height, j : j + width] += np.tensordot(weight[:, :, i, j].T, x, 1)
    half = size // 2
    return out[:, half : half + height, half : half + width] + bias[:, None, None]


def _prelu(x: Array, slope: Array) -> Array:
    return np.where(x > 0, x, slope[:, None, None] * x)


def _residual(generator: Generator, y: Array) -> Array:
    """Section 3.3 with the official code's particulars: (3, h, w) in [0, 255] -> (3, 4h, 4w)."""
    state = {name: value.double().numpy() for name, value in generator.state_dict().items()}

    def through(x: Array, name: str, border: str) -> Array:
        for layer in (1, 2):
            x = _prelu(x, state[f"{name}.relu{layer}.weight"])
            x = _convolution(x, _weight(state, f"{name}.conv{layer}"), state[f"{name}.conv{layer}.bias"], border)
        return x

    def convolved(x: Array, name: str, border: str) -> Array:
        return _convolution(x, _weight(state, name), state[f"{name}.bias"], border)

    x = through(convolved(_upsampled(y), "model.conv1", "reflect"), "model.layer1.0", "reflect")  # no shortcut
    image = np.zeros((3, *x.shape[1:]))
    if generator.settings.context_blocks:
        context = convolved(y, "model.context.conv_in", "edge")
        for block in range(generator.settings.context_blocks):
            context = context + through(context, f"model.context.blocks.{block}", "edge")
        x = x + _upsampled(convolved(context, "model.context.conv_out", "edge"))
        image = _shuffled(convolved(context, "model.context.conv_image", "edge"))
    for block in range(1, generator.settings.blocks):
        x = x + through(x, f"model.layer1.{block}", "reflect")
    weight, bias = _weight(state, "model.conv_out"), state["model.conv_out.bias"]
    if generator.settings.decoder_padding == "zeros":
        return _transposed_convolution(x, weight, bias) + image
    x = np.pad(x, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    return _transposed_convolution(x, weight, bias)[:, 2:-2, 2:-2] + image


def _shuffled(x: Array) -> Array:
    """Sixteen features of an input pixel are the rows of its four by four output pixels: (48, h, w) -> (3, 4h, 4w)."""
    _, height, width = x.shape
    out = np.zeros((3, 4 * height, 4 * width))
    for c in range(3):
        for i in range(4):
            for j in range(4):
                out[c, i::4, j::4] = x[16 * c + 4 * i + j]
    return out


def _upsampled(y: Array) -> Array:
    """Bilinear x4, half-pixel centres, (3, h, w) -> (3, 4h, 4w): one axis after the other, value by value."""
    for axis in (1, 2):
        n = y.shape[axis]
        rows = []
        for i in range(4 * n):
            at = max((i + 0.5) / 4 - 0.5, 0)
            low = math.floor(at)
            high = min(low + 1, n - 1)
            rows.append((1 - (at - low)) * y.take(low, axis) + (at - low) * y.take(high, axis))
        y = np.stack(rows, axis)
    return y


@pytest.mark.parametrize(("height", "width"), [(7, 9), (1, 1), (1, 5), (3, 2)])
def test_upsampling(height, width):
    y = picture(height, width)
    torch.testing.assert_close(upsample(y)[0].double(), torch.from_numpy(_upsampled(y[0].double().numpy())))


@pytest.mark.parametrize(
    ("blocks", "padding", "context", "size"),
    [
        (1, "zeros", 0, (7, 9)),
        (3, "zeros", 0, (7, 9)),
        (1, "reflect", 0, (7, 9)),
        (2, "reflect", 2, (7, 9)),
        (1, "zeros", 1, (1, 2)),
    ],
)
def test_residual(blocks, padding, context, size):
    settings = GeneratorSettings(features=4, blocks=blocks, decoder_padding=padding, context_blocks=context)
    generator, y = made_up(settings), picture(*size)
    with torch.no_grad():
        kernels = generator.kernels()
        got = residual(upsample(y), kernels, context=join(y, kernels))[0].double().numpy()
    expected = _residual(generator, y[0].double().numpy())
    assert np.abs(expected).mean() > 10
    np.testing.assert_allclose(got, expected, atol=np.abs(expected).max() * 1e-5)


def test_context_blocks_begin_as_if_they_were_not_there_and_learn():
    plain = made_up(SMALL)
    generator = Generator(SMALL.model_copy(update={"context_blocks": 2}))
    missing = generator.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert {name.split(".")[1] for name in missing} == {"context"}
    y = picture(6, 8)
    made = generator(y)
    torch.testing.assert_close(made, plain(y), rtol=0, atol=0)
    made.mean().backward()
    for last in (generator.model.context.conv_out, generator.model.context.conv_image):
        assert bool(last.weight_g.grad.abs().sum() > 0)


@pytest.mark.parametrize(("padding", "flat"), [("zeros", False), ("reflect", True)])
def test_reflection_alone_keeps_a_flat_picture_flat_to_its_border(padding, flat):
    generator = made_up(GeneratorSettings(features=4, blocks=2, decoder_padding=padding))
    with torch.no_grad():
        r = residual(upsample(torch.full((1, 3, 6, 5), 90.0)), generator.kernels())
    assert (r.std(dim=(2, 3)).max().item() < 1e-3) == flat


def test_whole_generator_with_the_projection_active():
    """The residual is cut down to epsilon = exp(alpha) sigma sqrt(CHW - 1), subtracted, and the result clipped."""
    generator, y = made_up(alpha=0.0), picture(7, 9)
    up = _upsampled(y[0].double().numpy())
    r = _residual(generator, y[0].double().numpy())
    sigma = _sigma(up)
    epsilon = sigma * math.sqrt(r.size - 1)
    expected = np.clip(up - r * epsilon / max(np.linalg.norm(r), epsilon), 0, 255)
    assert epsilon < np.linalg.norm(r) / 2
    with torch.no_grad():
        got = generator(y)[0].double().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-2)


def _sigma(x: Array) -> float:
    """The median of the diagonal details over 0.6745, the mean over colours; (3, H, W) as large as 7 pixels or more."""

    def filtered(lines: Array) -> Array:
        padded = np.pad(lines, (7, 7), mode="reflect")
        return np.array([np.dot(padded[i : i + 14], DB7) for i in range(0, len(padded) - 13, 2)])

    return float(
        np.mean([_lower_median(np.apply_along_axis(filtered, 1, np.apply_along_axis(filtered, 0, c))) for c in x])
    )


def _lower_median(details: Array) -> float:
    values = np.sort(np.abs(details), axis=None)
    return float(values[(values.size - 1) // 2] / 0.6745)


def test_training_and_inference_are_one_network():
    """With gradients wanted the encoder takes another way than without."""
    generator, y = made_up(), picture(6, 8)
    with torch.no_grad():
        expected = generator(y)
    torch.testing.assert_close(generator(y), expected, atol=1e-3, rtol=0)


def test_every_parameter_learns_while_the_projection_is_active():
    generator = made_up(alpha=0.0)
    generator(picture(6, 8)).mean().backward()
    without = [name for name, p in generator.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert without == []


def test_weight_norm_is_over_every_axis_but_the_first():
    layer = WeightNormed(5, 3, 4, bias=3)
    torch.testing.assert_close(layer.weight(), layer.weight_v)  # initially g is the norm
    with torch.no_grad():
        layer.weight_g.fill_(2.0)
    torch.testing.assert_close(layer.weight().flatten(1).norm(dim=1), torch.full((5,), 2.0))


@pytest.mark.parametrize(("norm", "factor"), [(10.0, 1.0), (40.0, 0.5), (0.0, 1.0)])
def test_projection_factor(norm, factor):
    """epsilon = e^0 * 2 * sqrt(101 - 1) = 20."""
    got = projection_factor(torch.tensor([norm**2]).double(), torch.tensor([2.0]), torch.tensor([0.0]), 101)
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(factor)
    assert noise_bound(torch.tensor([2.0]), torch.tensor([0.0]), 101).item() == pytest.approx(20)


def test_without_noise_nothing_of_the_residual_is_left_and_nothing_is_nan():
    energy = torch.tensor([25.0, 0.0]).double()
    assert projection_factor(energy, torch.zeros(2), torch.tensor([9.0]), 100).tolist() == [0, 0]


def test_energy_is_summed_in_float64():
    r = torch.full((1, 3, 400, 500), 1.1)
    assert residual_energy(r).item() == pytest.approx(float(np.float32(1.1)) ** 2 * r.numel(), rel=1e-12)


def test_a_kernel_in_half_precision_keeps_its_sums():
    weight = torch.randn(3, 64, 5, 5, generator=torch.Generator().manual_seed(2))
    half = _rounded(weight, torch.bfloat16)
    assert half.dtype == torch.bfloat16

    def off(kernel: torch.Tensor) -> float:
        return float((kernel.float().sum((2, 3)) - weight.sum((2, 3))).abs().max())

    assert off(half) < 0.02 < off(weight.bfloat16())
    assert (half.float() - weight).abs().max() < 0.04
    assert torch.equal(_rounded(weight, torch.float32), weight)
