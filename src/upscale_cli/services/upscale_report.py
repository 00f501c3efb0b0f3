"""What `upscale run` is asked for, and what it reports."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from upscale_cli.errors import ResourceError, UpscaleError, UsageError
from upscale_cli.inference.device_name import check_device_name
from upscale_cli.services.fusion_report import FusionReport, FusionRequest
from upscale_cli.services.learning_report import LearningReport

Status = Literal["done", "skipped", "failed", "planned"]
MAX_SCALE = 64.0
MAX_SHARPEN = 10.0


@dataclass(frozen=True)
class UpscaleRequest:
    """The options of `upscale run`; its help says what they mean.  tile: input pixels, 0 for the whole, None for auto.
    memory: bytes, None for what is free."""

    inputs: tuple[str, ...]
    output: str | None = None
    model: str | None = None
    scale: float | None = None
    width: int | None = None
    height: int | None = None
    self_ensemble: bool = False
    sharpen: float = 0.0
    projection: bool = True
    tile: int | None = None
    memory: int | None = None
    device: str = "auto"
    precision: str = "auto"
    local_statistics: bool = False
    fusion: FusionRequest = field(default_factory=FusionRequest)
    format: str | None = None
    quality: int | None = None
    suffix: str | None = None
    recursive: bool = False
    overwrite: bool = False
    dry_run: bool = False
    metadata: bool = True
    offline: bool = False

    def check(self) -> None:
        """Raises UsageError for a value that no picture could satisfy."""
        if sum(value is not None for value in (self.scale, self.width, self.height)) > 1:
            raise UsageError("--scale, --width and --height say the same thing", "give one of them")
        if self.scale is not None and not (math.isfinite(self.scale) and 0 < self.scale <= MAX_SCALE):
            raise UsageError(f"--scale {self.scale:g} is outside 0 to {MAX_SCALE:g}", "2, 2.5 and 4 are usual")
        for name, value in (("--width", self.width), ("--height", self.height)):
            if value is not None and value < 1:
                raise UsageError(f"{name} {value} is no size", "give a number of pixels")
        if not 0 <= self.sharpen <= MAX_SHARPEN:
            raise UsageError(f"--sharpen {self.sharpen:g} is outside 0 to {MAX_SHARPEN:g}", "0.5 to 1 is usual")
        if self.tile is not None and self.tile != 0 and self.tile < 16:
            raise UsageError(f"--tile {self.tile} is too small", "0 for the whole picture, 16 or more, or auto")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality {self.quality} is outside 1 to 100", "95 is nearly free of losses")
        if self.suffix is not None and any(letter in self.suffix for letter in "/\\\0"):
            raise UsageError(f"--suffix {self.suffix!r} cannot be part of a name", "leave out slashes")
        check_device_name(self.device)
        self.fusion.check()

    def scale_label(self, network_scale: int) -> str:
        """How the size is called in an output's name."""
        if self.width is not None:
            return f"{self.width}w"
        if self.height is not None:
            return f"{self.height}h"
        return f"{self.scale if self.scale is not None else network_scale:g}"

    def output_size(self, width: int, height: int, network_scale: int) -> tuple[int, int]:
        """The size (width, height) that a picture gets."""
        if self.width is not None:
            factor = self.width / width
            return self.width, max(1, round(height * factor))
        if self.height is not None:
            factor = self.height / height
            return max(1, round(width * factor)), self.height
        factor = self.scale if self.scale is not None else float(network_scale)
        return max(1, round(width * factor)), max(1, round(height * factor))


@dataclass(frozen=True)
class Choice:
    """A model that was chosen for one picture.  noise: levels of 255.  jpeg: quality, None without a trace of it."""

    model: str
    noise: float
    jpeg: int | None

    @property
    def words(self) -> str:
        """Why this model, in a line."""
        jpeg = "no JPEG" if self.jpeg is None else f"JPEG {self.jpeg}"
        return f"auto: noise {self.noise:.1f}, {jpeg} -> {self.model}"

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"noise": round(self.noise, 2), "jpeg": self.jpeg}


@dataclass(frozen=True)
class PictureReport:
    """What became of one picture.  Sizes are (width, height); seconds are those of the network.

    choice: how its model was chosen, None where it was named.  learned: how its network was learned from it, if it was.
    cause: what failed it.
    """

    input: str
    output: str | None
    status: Status
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    model: str = ""
    sha256: str = ""
    precision: str = ""
    tile: int | None = None
    tiles: int | None = None
    memory: int | None = None
    sharpen: float | None = None
    seconds: float | None = None
    fusion: FusionReport | None = None
    choice: Choice | None = None
    learned: LearningReport | None = None
    notes: tuple[str, ...] = ()
    cause: UpscaleError | None = None

    @property
    def error(self) -> str:
        """What failed it, in words."""
        return str(self.cause) if self.cause is not None else ""

    def record(self) -> dict[str, Any]:
        """As a JSON object: everything that is known."""
        known = {key: value for key, value in vars(self).items() if key != "cause"} | {"error": self.error}
        known["fusion"] = self.fusion and self.fusion.record()
        known["learned"] = self.learned and self.learned.record()
        known |= {"choice": None, "auto": self.choice and self.choice.record()}
        return {key: value for key, value in known.items() if value not in (None, "", ())}


@dataclass(frozen=True)
class UpscaleReport:
    """The pictures in the order in which they were named.

    seconds: of the whole run.  stopped: what ended it before its time; then `not_begun` pictures are not reported.
    """

    pictures: tuple[PictureReport, ...]
    seconds: float
    stopped: ResourceError | None = None
    not_begun: int = 0

    @property
    def by_status(self) -> dict[Status, int]:
        """How many pictures came to each end that any came to."""
        counts = Counter(picture.status for picture in self.pictures)
        return {status: counts[status] for status in get_args(Status) if counts[status]}

    @property
    def failed(self) -> tuple[PictureReport, ...]:
        """The pictures that could not be done."""
        return tuple(picture for picture in self.pictures if picture.status == "failed")
