"""What `upscale run` is asked for of fusion (RWSR's Eq. (6)), and what it reports of it."""

import math
from dataclasses import dataclass
from typing import Any

from upscale_cli.errors import UsageError


@dataclass(frozen=True)
class FusionRequest:
    """The options --fuse... of `upscale run`; its help says what they mean.  None: not given.

    wanted: --fuse or --no-fuse; None: where the model has a partner.  partner: a model's name or a file.
    """

    wanted: bool | None = None
    partner: str | None = None
    alpha: float | None = None
    beta: float | None = None
    gamma: float | None = None
    local: bool = False
    save_gate: str | None = None

    @property
    def given(self) -> list[str]:
        """The options that mean nothing without fusion."""
        values = {
            "--fuse": self.wanted or None,
            "--fuse-with": self.partner,
            "--fuse-alpha": self.alpha,
            "--fuse-beta": self.beta,
            "--fuse-gamma": self.gamma,
            "--fuse-local": self.local or None,
            "--save-gate": self.save_gate,
        }
        return [option for option, value in values.items() if value is not None]

    def check(self) -> None:
        """Raises UsageError for a value that means nothing, or contradicts another."""
        for option, value in (("alpha", self.alpha), ("beta", self.beta), ("gamma", self.gamma)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"--fuse-{option} {value:g}: is not a number from 0 up", "0.6, 0.4 and 64 are usual")
        if self.wanted is False and self.given:
            raise UsageError(f"{self.given[0]} and --no-fuse contradict each other", "leave one of them out")

    @property
    def settings(self) -> "FusionSettings":
        """The numbers of Eq. (6), the paper's where none were given."""
        given = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        return FusionSettings(**{key: value for key, value in given.items() if value is not None}, local=self.local)


@dataclass(frozen=True)
class FusionSettings:
    """alpha and beta of Eq. (6), and gamma in levels of 255; the defaults are the paper's (section 4.1).

    local: decided for each pixel by its surroundings, not for the picture by its median.
    """

    alpha: float = 0.6
    beta: float = 0.4
    gamma: float = 64.0
    local: bool = False

    @property
    def words(self) -> str:
        """As in 0.6 / 0.4 below 64."""
        return f"{self.alpha:g} / {self.beta:g} below {self.gamma:g}{' by pixel' if self.local else ''}"

    @property
    def warning(self) -> str:
        """What the user should know of these numbers, "" where there is nothing to say."""
        change = self.alpha + self.beta - 1
        if math.isclose(change, 0, abs_tol=5e-5):
            return ""
        return (
            f"--fuse-alpha {self.alpha:g} and --fuse-beta {self.beta:g} do not add up to 1: what is fused becomes "
            f"{abs(change):.2%} {'brighter' if change > 0 else 'darker'}"
        )


@dataclass(frozen=True)
class FusionReport:
    """What was decided for one picture.  partner: the second network's name.

    y_med: the median luminance of the first network's picture, in levels of 255; None where nothing is computed yet.
    share: the part of the picture that is fused, in [0, 1].  gate: where the decision is written, "" for nowhere.
    """

    settings: FusionSettings
    partner: str
    y_med: float | None = None
    share: float | None = None
    gate: str = ""

    @property
    def words(self) -> str:
        """In a line."""
        gamma, how = self.settings.gamma, f"{self.settings.alpha:g} / {self.settings.beta:g} with {self.partner}"
        if self.y_med is None or self.share is None:
            where = "where it is dark" if self.settings.local else f"if Y_med is below {gamma:g}"
            return f"fused {how} {where}"
        if self.settings.local:
            return f"by pixel: Y_med {self.y_med:.2f}, {self.share:.1%} fused {how} around {gamma:g}"
        if self.share:
            return f"dark: Y_med {self.y_med:.2f} < {gamma:g}, fused {how}"
        return f"Y_med {self.y_med:.2f} >= {gamma:g}, not fused with {self.partner}"

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        known = {**vars(self.settings), "partner": self.partner, "y_med": self.y_med, "fused": self.share}
        return {key: value for key, value in (known | {"gate": self.gate}).items() if value not in (None, "")}
