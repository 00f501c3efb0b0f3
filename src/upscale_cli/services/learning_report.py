"""What `upscale zeroshot` is asked for beyond `upscale run`, and what it reports of a picture's own network."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upscale_cli.errors import UsageError
from upscale_cli.methods.dualsr.config import RECIPES, REDUCTIONS

START = "dualsr-start"
"""The bundled network that the quick recipe goes on from."""
MODEL = "dualsr"
"""What a picture's own network is called, and the method that it is learned by."""
MAX_SCALE = 8.0
UNLIKE = 30.0
"""dB below which an enlarged picture, reduced again, is not the given one any more."""


def passes_for(scale: float | None) -> int:
    """How often the network is run: as often as it does not surpass the scale; the rest is resampled, which came out
    nearer to the original than to surpass it and resample down (x3, docs/benchmarks.md)."""
    return 1 if scale is None else max(1, math.floor(math.log2(scale)))


@dataclass(frozen=True)
class LearningRequest:
    """The options of `upscale zeroshot`; its help says what they mean.

    recipe: one of `RECIPES`.  steps: None for the recipe's.  kernel: a file, or one of `REDUCTIONS`.
    max_seconds: for each picture.
    """

    recipe: str = "quick"
    steps: int | None = None
    seed: int = 0
    kernel: Path | None = None
    save_kernel: str | None = None
    reference: Path | None = None
    max_seconds: float | None = None
    resume: bool = False

    @property
    def all_steps(self) -> int:
        """How many steps there are."""
        return RECIPES[self.recipe].max_steps if self.steps is None else self.steps

    @property
    def reduction(self) -> str | None:
        """The resampling filter by whose name the kernel is given, if it is."""
        name = str(self.kernel)
        return name if name in REDUCTIONS else None

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read beside the pictures."""
        kernel = None if self.reduction else self.kernel
        return tuple(path for path in (kernel, self.reference) if path is not None)

    def settings(self, done: int) -> str:
        """What a result depends on, of which `done` steps were learned."""
        kernel = f", kernel {self.reduction or 'given'}" if self.kernel is not None else ""
        return f"{self.recipe}, {done} of {self.all_steps} steps, seed {self.seed}{kernel}"

    def check(self, scale: float) -> None:
        """Raises UsageError for a value that no picture could satisfy.  scale: that of the request."""
        if not 1 < scale <= MAX_SCALE:
            raise UsageError(f"--scale {scale:g} is outside 1 to {MAX_SCALE:g}", "2 is what the network gives")
        if self.recipe not in RECIPES:
            raise UsageError(f"--recipe {self.recipe}: there is no such recipe", " or ".join(RECIPES))
        if self.all_steps < 1:
            raise UsageError(f"--steps {self.steps}: is no number of steps", "100 are usual, the paper takes 3000")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed}: is outside 0 to 4,294,967,295", "0 is usual")
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise UsageError("--max-time leaves no time at all", "for example 9m or 1h")
        if self.kernel is not None and not self.kernel.suffix and self.reduction is None:
            names = ", ".join(REDUCTIONS)
            raise UsageError(
                f"--kernel {self.kernel}: is neither a file that can hold a kernel nor the name of one",
                f"save it as .png, .npy or .mat, or name one of {names}",
            )
        if self.kernel is not None and self.save_kernel is not None:
            raise UsageError(
                "--kernel and --save-kernel contradict each other", "a kernel that is given is not learned"
            )


@dataclass(frozen=True)
class LearningReport:
    """How a picture's own network was learned, and what became of it.

    steps: done.  settings: as of `LearningRequest.settings`.  width: standard deviations of the kernel along its axes,
    (larger, smaller), in pixels of the first pass's result.  consistency: PSNR in dB of the result's middle, reduced by
    the kernel, beside the picture itself.  niqe, bicubic_niqe: of the same middle, lower is better; None where it is
    too small.  psnr, ssim and bicubic's: on luminance, where there was a reference.
    """

    steps: int
    settings: str
    width: tuple[float, float]
    consistency: float
    niqe: float | None = None
    bicubic_niqe: float | None = None
    psnr: float | None = None
    bicubic_psnr: float | None = None
    ssim: float | None = None
    bicubic_ssim: float | None = None

    @property
    def words(self) -> str:
        """The verdict, in a line."""
        said = [f"kernel {self.width[0]:.1f} x {self.width[1]:.1f} pixels wide"]
        said.append(f"reduced again {self.consistency:.1f} dB near the picture")
        if self.consistency < UNLIKE:
            said[-1] += " (far off: look at it)"
        if self.niqe is not None and self.bicubic_niqe is not None:
            better = "better" if self.niqe < self.bicubic_niqe else "no better"
            said.append(f"looks {better} than bicubic (NIQE {self.niqe:.2f}, {self.bicubic_niqe:.2f})")
        if self.psnr is not None:
            said.append(f"PSNR {self.psnr:.2f} dB, bicubic {self.bicubic_psnr:.2f}")
            said.append(f"SSIM {self.ssim:.4f}, bicubic {self.bicubic_ssim:.4f}")
        return "; ".join(said)

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {key: _rounded(value) for key, value in vars(self).items() if value is not None}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None  # JSON has no word for infinity
    return value
