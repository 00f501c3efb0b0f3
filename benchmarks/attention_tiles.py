"""Exact tiles of a network with channel attention, beside the whole picture in one piece.

python benchmarks/attention_tiles.py [--size 512] [--rounds 3] [--write docs/benchmarks.md]

An RCAN of 5 x 5 blocks and 64 features with made-up weights, which do not change the time. Everything is timed in turn
(A B C A B C ...), and medians are given, because machines drift. "In a file": features are kept in a temporary file, as
where --memory has no room for them. The goal is at most 1.3 times the whole picture's time.
"""

import argparse
import datetime
import platform
import statistics
import time
from pathlib import Path

import torch

from page import write
from upscale_cli.inference.device import Placement, choose_device, prepare_device
from upscale_cli.inference.network import AnyNetwork
from upscale_cli.inference.plan import Plan, choose_tile
from upscale_cli.inference.upscaler import upscale
from upscale_cli.methods.rwsr.checkpoint import build

OPTIONS = {"groups": 5, "blocks": 5}
MEMORY = 16 * 1024**3
WHOLE, AUTO = "whole", "tiles"
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def plans(tile: int) -> dict[str, Plan]:
    """What is compared; tile: the one that `auto` takes."""
    return {
        WHOLE: Plan(0, MEMORY),
        f"{AUTO} of {tile}": Plan(tile, MEMORY),
        f"{AUTO} of {tile}, in a file": Plan(tile, 0),
        f"{AUTO} of {tile // 2}": Plan(tile // 2, MEMORY),
    }


def seconds(network: AnyNetwork, picture: torch.Tensor, plan: Plan) -> float:
    """One run's time, the device's work included, output thrown away."""
    started = time.perf_counter()
    upscale(network, picture, lambda _box, _part: None, plan)
    if picture.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(size: int, rounds: int, device: torch.device) -> dict[tuple[str, str], list[float]]:
    """Seconds of each (number format, way), a value for each round after a first one that does not count."""
    torch.manual_seed(0)
    picture = torch.rand(1, 3, size, size, device=device)
    times: dict[tuple[str, str], list[float]] = {}
    networks = {label: build(None, OPTIONS, Placement(device, dtype)) for label, dtype in FORMATS.items()}
    for _ in range(rounds + 1):
        for label, network in networks.items():
            # Where auto would take the whole picture, half of it: there is nothing to compare otherwise.
            tile = choose_tile(network, device, size, size, MEMORY) or size // 2
            for name, plan in plans(tile).items():
                times.setdefault((label, name), []).append(seconds(network, picture, plan))
    return {way: values[1:] for way, values in times.items()}


def table(times: dict[tuple[str, str], list[float]], megapixels: float) -> str:
    """Markdown: medians per output megapixel, and as multiples of the whole picture in the same format."""
    lines = ["| variant | s/MP | times whole |", "|---|---|---|"]
    for (label, name), values in times.items():
        median, whole = statistics.median(values), statistics.median(times[label, WHOLE])
        lines.append(f"| {label}, {name} | {median / megapixels:.3f} | {median / whole:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the input in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", type=Path, help="a page with the markers, such as docs/benchmarks.md")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    prepare_device(device)
    times = measure(arguments.size, arguments.rounds, device)
    text = (
        f"Measured {datetime.date.today()} on {platform.processor() or platform.machine()} ({device}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}): `python benchmarks/attention_tiles.py "
        f"--size {arguments.size} --rounds {arguments.rounds}`.\n\n" + table(times, (4 * arguments.size) ** 2 / 1e6)
    )
    print(text)
    if arguments.write:
        write(arguments.write, "attention-tiles", text)


if __name__ == "__main__":
    main()
