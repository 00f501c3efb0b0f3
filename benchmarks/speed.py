"""Seconds per output megapixel of SRResCycGAN's generator, beside the published network and the machine's own ceiling.

GOMP_SPINCOUNT=1000 python benchmarks/speed.py [--size 256] [--rounds 3] [--write docs/benchmarks.md]

The variable is what the program sets by itself.

Everything is timed in turn (A B C A B C ...), and medians are given, because machines drift. Weights are made up: they
do not change the time. (a) is the published network as a straightforward program has it: whole, float32, NCHW, weight
normalisation computed anew, in a process of its own whose allocator is left as it is. (b) is the best rate of a
64 -> 64 3x3 convolution in the same number format.
"""

import argparse
import contextlib
import datetime
import math
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from page import write
from upscale_cli.inference.device import Placement, choose_device, prepare_device
from upscale_cli.inference.network import Network
from upscale_cli.inference.plan import Plan, choose_tile
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods.srrescycgan.checkpoint import build
from upscale_cli.methods.srrescycgan.generator import Generator
from upscale_cli.methods.srrescycgan.noise import diagonal_details, noise_level

SCALE = 4
OPERATIONS = 2 * (3 * 64 * 25 + 10 * 64 * 64 * 9 + 64 * 3 * 25)
"""Multiplications and additions per output pixel of the convolutions."""
PUBLISHED = "(a) published, whole, fp32"


class Published:
    """The generator as published, written down without any thought of speed; (1, 3, h, w) in [0, 255]."""

    def __init__(self, generator: Generator) -> None:
        self.p = {name: value.detach() for name, value in generator.state_dict().items()}

    def _weight(self, name: str) -> Tensor:
        v, g = self.p[f"{name}.weight_v"], self.p[f"{name}.weight_g"]
        weight: Tensor = g * v / v.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        return weight

    def _convolve(self, x: Tensor, name: str, pad: int) -> Tensor:
        x = F.pad(x, (pad, pad, pad, pad), mode="reflect")
        return F.conv2d(x, self._weight(name), self.p[f"{name}.bias"])

    def __call__(self, y: Tensor) -> Tensor:
        """The enlarged picture, (1, 3, 4h, 4w)."""
        upsampled = F.interpolate(y, scale_factor=SCALE, mode="bilinear", align_corners=False)
        x = self._convolve(upsampled, "model.conv1", 2)
        for i in range(5):
            block = f"model.layer1.{i}"
            out = self._convolve(F.prelu(x, self.p[f"{block}.relu1.weight"]), f"{block}.conv1", 1)
            out = self._convolve(F.prelu(out, self.p[f"{block}.relu2.weight"]), f"{block}.conv2", 1)
            x = out if i == 0 else x + out
        r = F.conv_transpose2d(x, self._weight("model.conv_out"), self.p["model.conv_out.bias"], padding=2)
        epsilon = torch.exp(self.p["alpha"]) * self._sigma(upsampled) * math.sqrt(r[0].numel() - 1)
        norm = r.flatten(1).norm(dim=1)
        return (upsampled - r * (epsilon / torch.maximum(norm, epsilon))).clamp(0, 255)

    def _sigma(self, x: Tensor) -> Tensor:
        return noise_level(diagonal_details(x / 255)[0])[None] * 255


class PublishedProcess:
    """`Published` in a process of its own; calling it gives the seconds of one run."""

    def __init__(self, size: int, device: torch.device) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, size, device), daemon=True)
        self._process.start()

    def __call__(self) -> float:
        """One run."""
        self._ours.send(True)
        return float(self._ours.recv())


@torch.inference_mode()
def _serve(pipe: Connection, size: int, device: torch.device) -> None:
    published = Published(Generator().to(device))
    picture = torch.rand(1, 3, size, size, device=device) * 255
    with contextlib.suppress(EOFError):  # the other side has measured all it wanted
        while pipe.recv():
            pipe.send(seconds(lambda: published(picture)))


def seconds(run: Callable[[], object]) -> float:
    """One run's time, the device's work included."""
    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def convolution_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The best rate of a 64 -> 64 3x3 convolution, channels-last, in operations per second."""
    weight = torch.randn(64, 64, 3, 3).to(device, dtype).contiguous(memory_format=torch.channels_last) * 0.05
    rates = []
    for side in (64, 128, 256):
        x = torch.randn(1, 64, side, side).to(device, dtype).contiguous(memory_format=torch.channels_last)
        F.conv2d(x, weight, padding=1)
        times = [seconds(partial(F.conv2d, x, weight, padding=1)) for _ in range(9)]
        rates.append(2 * 64 * 64 * 9 * side * side / statistics.median(times))
    return max(rates)


def ours(network: Network, picture: Tensor, tile: int, self_ensemble: bool) -> Callable[[], object]:
    """A run through the upscaler, output thrown away."""
    plan = Plan(tile, 4 * 1024**3, self_ensemble)
    return lambda: upscale(network, picture, lambda _box, _part: None, plan)


@torch.inference_mode()
def measure(size: int, rounds: int, device: torch.device) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of every variant, and convolution rates, a value for each round."""
    torch.manual_seed(0)
    generator = Generator()
    picture = torch.rand(1, 3, size, size, device=device)
    published = PublishedProcess(size, device)
    variants: dict[str, Callable[[], object]] = {}
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16}
    for label, dtype in formats.items():
        network = build(generator.state_dict(), {}, Placement(device, dtype))
        tile = choose_tile(network, device, size, size, 4 * 1024**3)
        variants[f"ours, whole, {label}"] = ours(network, picture, 0, False)
        variants[f"ours, tiles, {label}"] = ours(network, picture, tile, False)
        variants[f"ours, tiles, {label}, x8"] = ours(network, picture, tile, True)
    times: dict[str, list[float]] = {PUBLISHED: [], **{name: [] for name in variants}}
    rates: dict[str, list[float]] = {label: [] for label in formats}
    for number in range(rounds + 1):
        for label, dtype in formats.items():
            rates[label].append(convolution_rate(device, dtype))
        times[PUBLISHED].append(published())
        for name, run in variants.items():
            if name.endswith("x8") and number > 1:
                continue  # eight runs in one: once is enough
            times[name].append(seconds(run))
    return {n: t[1:] for n, t in times.items()}, {n: r[1:] for n, r in rates.items()}


def table(size: int, rounds: int, device: torch.device) -> str:
    """The measured table in Markdown."""
    times, rates = measure(size, rounds, device)
    megapixels = (SCALE * size) ** 2 / 1e6
    base = statistics.median(times[PUBLISHED])
    waiting = f"GOMP_SPINCOUNT={spins} " if (spins := os.environ.get("GOMP_SPINCOUNT")) else ""
    lines = [
        f"Measured {datetime.date.today()} on {platform.processor() or platform.machine()} ({device}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}): "
        f"`{waiting}python benchmarks/speed.py --size {size} --rounds {rounds}`, "
        f"{size}x{size} to {SCALE * size}x{SCALE * size}, medians.",
        "",
        "| variant | s/MP | times (a) | share of (b) |",
        "|---|---|---|---|",
    ]
    for name, values in times.items():
        median = statistics.median(values)
        copies = 8 if name.endswith("x8") else 1
        label = "bf16" if "bf16" in name else "fp32"
        rate = copies * OPERATIONS * megapixels * 1e6 / median
        share = rate / statistics.median(rates[label])
        lines.append(f"| {name} | {median / megapixels:.2f} | {copies * base / median:.2f} | {share:.0%} |")
    ceilings = ", ".join(f"{label} {statistics.median(values) / 1e9:.0f}" for label, values in rates.items())
    lines += ["", f"(b), the best 64 to 64 3x3 convolution: {ceilings} GFLOP/s. x8 rows count eight runs of (a)."]
    return "\n".join(lines)


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the input in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="a page with the markers, such as docs/benchmarks.md")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    prepare_device(device)
    text = table(arguments.size, arguments.rounds, device)
    print(text)
    if arguments.write:
        write(arguments.write, "speed", text)


if __name__ == "__main__":
    main()
