"""What `upscale evaluate` is asked for, and what it reports."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from upscale_cli.errors import UpscaleError, UsageError
from upscale_cli.imaging.quality import Protocol
from upscale_cli.services.upscale_report import UpscaleRequest

METRICS = ("psnr", "ssim", "lpips", "niqe")
"""All that can be measured: nearness to the original in dB and in structure, perceptual distance, naturalness."""


@dataclass(frozen=True)
class EvaluateRequest:
    """The options of `upscale evaluate`; its help says what they mean.

    lr: a folder of low-resolution pictures; None: `degrade` makes them ('clean', 'noise:SIGMA', 'jpeg:QUALITY', or a
    recipe of `upscale degrade`).
    seed: None for 0.
    upscale: model, device, precision, tile, self_ensemble, sharpen and offline are used of it.
    """

    hr: Path
    protocol: Protocol
    upscale: UpscaleRequest
    lr: Path | None = None
    degrade: str | None = None
    seed: int | None = None
    metrics: tuple[str, ...] = METRICS[:2]

    def check(self) -> None:
        """Raises UsageError for what contradicts itself or no picture could satisfy."""
        self.upscale.check()
        if self.lr is not None and self.degrade is not None:
            raise UsageError("--lr and --degrade both say what the model is given", "leave one of them out")
        if self.lr is not None and self.seed is not None:
            raise UsageError("--seed: nothing is drawn where --lr gives the pictures", "leave one of them out")
        for name in self.metrics:
            if name not in METRICS:
                raise UsageError(f"--metrics: {name!r} is none of {', '.join(METRICS)}", "as in psnr,ssim,lpips")

    @property
    def given(self) -> str:
        """What the model is given, in a word."""
        return str(self.lr) if self.lr is not None else self.degrade or "clean"


@dataclass(frozen=True)
class Score:
    """values: by metric, in the order asked for; nan where a metric says nothing of the picture.

    shift: how far (down, across) the result was taken off its place.
    """

    values: Mapping[str, float]
    shift: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class PictureScores:
    """What one picture came to.  size: (width, height) of the original as cut to the scale.  seconds: the network's.

    cause: why it could not be measured; all else is empty then.
    """

    picture: str
    size: tuple[int, int] | None = None
    model: Score | None = None
    bicubic: Score | None = None
    precision: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    cause: UpscaleError | None = None

    def record(self) -> dict[str, Any]:
        """As a JSON object: everything that is known."""
        known: dict[str, Any] = {"picture": self.picture, "status": "failed" if self.cause else "measured"}
        known |= {"size": self.size, "model": _json(self.model), "bicubic": _json(self.bicubic)}
        known |= {"precision": self.precision, "seconds": self.seconds, "notes": self.notes}
        known |= {"error": str(self.cause or "")}
        return {key: value for key, value in known.items() if value not in (None, "", ())}


@dataclass(frozen=True)
class EvaluateReport:
    """The pictures in the order of their names, and which model was measured, how and by which metrics."""

    model: str
    sha256: str
    scale: int
    protocol: Protocol
    metrics: tuple[str, ...]
    pictures: tuple[PictureScores, ...]

    @property
    def failed(self) -> int:
        """How many pictures could not be measured."""
        return sum(picture.cause is not None for picture in self.pictures)

    @property
    def model_mean(self) -> Score | None:
        """Over the pictures that were measured, None where there is none."""
        return _mean([picture.model for picture in self.pictures if picture.model is not None])

    @property
    def bicubic_mean(self) -> Score | None:
        """Over the same pictures."""
        return _mean([picture.bicubic for picture in self.pictures if picture.bicubic is not None])

    def record(self) -> dict[str, Any]:
        """As a JSON object: model, protocol and means."""
        about: dict[str, Any] = {"mean_of": len(self.pictures) - self.failed, "failed": self.failed}
        about |= {"name": self.model, "sha256": self.sha256, "scale": self.scale}
        about |= {"protocol": asdict(self.protocol)}
        means = {"model": _json(self.model_mean, moved=False), "bicubic": _json(self.bicubic_mean, moved=False)}
        return about | {key: value for key, value in means.items() if value is not None}


def _json(score: Score | None, *, moved: bool = True) -> dict[str, Any] | None:
    """A score as a JSON object; JSON knows neither infinity nor nan, so that these become null.

    moved: with the shift, which a mean has none of.
    """
    if score is None:
        return None
    known: dict[str, Any] = {name: value if math.isfinite(value) else None for name, value in score.values.items()}
    return known | {"shift": score.shift} if moved else known


def _mean(scores: Sequence[Score]) -> Score | None:
    if not scores:
        return None
    return Score({name: fmean(score.values[name] for score in scores) for name in scores[0].values})
