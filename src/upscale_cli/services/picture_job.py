"""One picture's job: what its header alone tells of the work, and all that can be refused before it starts."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.files import Header, Picture, check_output, read_header
from upscale_cli.services.inputs import is_folder
from upscale_cli.services.outputs import Target
from upscale_cli.services.upscale_report import Choice, PictureReport, UpscaleRequest

MAX_OUTPUT_PIXELS = 2**30
"""1.07 gigapixels, 32,768 squared."""
# Written band by band; the encoders of the other formats want the whole picture once more, 4 bytes a pixel.
_BANDED = ("PNG", "TIFF", "PPM")
_FLOATS, _ALPHA_WORK, _ENCODER = 12, 20, 4
"""Bytes a pixel: the float32 input, nearest visible colours (distances, labels, a copy), an encoder's copy."""


@dataclass
class Job:
    """A picture on its way.

    source: the file, or what standard input gave.  network_size and size: (width, height) as the network gives it and
    as it is written.  memory: bytes it takes at its fullest, the network's own apart.  gate_path: where the decision
    about fusion, or the kernel, is to be written, None for nowhere; gate: that decision.  choice: how the model was
    chosen, if it was.
    """

    target: Target
    source: Path | bytes
    header: Header
    size: tuple[int, int]
    network_size: tuple[int, int]
    memory: int
    notes: tuple[str, ...] = ()
    picture: Picture | None = None
    report: PictureReport | None = None
    gate_path: Path | None = None
    gate: Picture | None = None
    choice: Choice | None = None


def inspect(target: Target, request: UpscaleRequest, network_scale: int, *, paired: bool = False) -> Job:
    """The job, from the picture's header.  Raises PictureError for one that cannot be read, made or written.

    paired: two networks' pictures may be fused.
    """
    source = target.source.path if target.source.path is not None else _standard_input()
    header = read_header(source)
    size = request.output_size(header.width, header.height, network_scale)
    network_size = network_scale * header.width, network_scale * header.height
    for width, height in (size, network_size):
        if width * height > MAX_OUTPUT_PIXELS:
            raise PictureError(
                f"{target.source.name}: {header.width} x {header.height} would become {width} x {height} pixels, over "
                f"the limit of {MAX_OUTPUT_PIXELS / 1e6:,.0f} megapixels",
                "cut or shrink it first",
            )
    notes = _losses(target, header, size, request)
    gate_path, gate_notes = _gate(target, request)
    for path in (target.path, gate_path):
        if path is not None:
            _check_rights(path)
    local = paired and request.fusion.local
    reworked = paired or request.sharpen > 0
    memory = memory_of(header, size, network_size, target.format, reworked=reworked, local=local)
    notes += header.notes + gate_notes
    return Job(target, source, header, size, network_size, memory, notes, gate_path=gate_path)


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise PictureError(f"standard input: cannot be read: {error.strerror}", "name a file instead") from error


def memory_of(
    header: Header,
    size: tuple[int, int],
    network_size: tuple[int, int],
    output_format: str,
    *,
    reworked: bool = False,
    local: bool = False,
) -> int:
    """Bytes that a picture holds at its fullest: its samples and their floats, the enlarged samples (16 bits where they
    are resampled, or `reworked`: fused or sharpened afterwards), the result of resampling, the encoder's copy; for
    `local` fusion the gate in both sizes."""
    colours = (1 if header.channels == "grey" else 3) + header.has_alpha
    sample = header.bits // 8
    resized = size != network_size
    given = header.width * header.height * (colours * sample + _FLOATS + _ALPHA_WORK * header.has_alpha)
    computed, pixels = network_size[0] * network_size[1], size[0] * size[1]
    enlarged = computed * colours * (2 if resized or reworked else sample)
    result = pixels * colours * 2 if resized else 0
    gate = (computed + (pixels if resized else 0)) if local else 0
    return given + enlarged + result + gate + (0 if output_format in _BANDED else pixels * _ENCODER)


def _gate(target: Target, request: UpscaleRequest) -> tuple[Path | None, tuple[str, ...]]:
    """Where the gate goes; nowhere, with a note, where something is there that may not be written over."""
    if target.gate is None or request.overwrite or not os.path.lexists(target.gate):
        return target.gate, ()
    return None, (f"{target.gate} exists and is left alone",)


def _losses(target: Target, header: Header, size: tuple[int, int], request: UpscaleRequest) -> tuple[str, ...]:
    try:
        return check_output(
            target.format, *size, bits=header.bits, has_alpha=header.has_alpha, channels=header.channels,
            quality=request.quality,
        )  # fmt: skip
    except UsageError as error:
        raise PictureError(f"{target.source.name}: {error.message}", error.hint) from error


def _check_rights(path: Path) -> None:
    folder = next(parent for parent in path.absolute().parents if is_folder(parent))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PictureError(f"{path}: cannot be written: no right to write in {folder}", "choose another -o")
