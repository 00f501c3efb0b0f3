"""What a catalogue says of one checkpoint: its name, its file or addresses, and what network it is."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from upscale_cli.config.toml_file import Settings

AUTO = "auto"
"""What stands for the model that each picture's noise and JPEG quality ask for; no model is called so."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Windows opens a device for these names, whatever follows the first dot; refused everywhere so that a cache can move.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ADDRESS = re.compile(r"https://[^/\s@]+/\S*|gdrive:[A-Za-z0-9_-]+")


def check_name(name: str) -> str:
    """`name`, if a file may be called so on every system.  Raises ValueError with the rule that it breaks."""
    if not _SAFE_NAME.fullmatch(name) or ".." in name or name.endswith(".") or _DEVICE.fullmatch(name):
        raise ValueError(
            "a name is 1 to 64 letters, digits, '.', '_' or '-', begins with a letter or digit, is no device"
        )
    if name.casefold() == AUTO:
        raise ValueError(f"'{AUTO}' stands for the model that suits each picture, and is no model's name")
    return name


def _check_address(url: str) -> str:
    try:
        well_formed = bool(_ADDRESS.fullmatch(url)) and urlsplit(url).port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        well_formed = False
    if not well_formed:
        raise ValueError("an address is https://host/path or gdrive:<file id>")
    return url


SafeName = Annotated[str, AfterValidator(check_name)]
Address = Annotated[str, AfterValidator(_check_address)]
Sha256 = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")]
Sha256Prefix = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{8,63}$")]


class Checkpoint(Settings):
    """One file of weights. `file` names one that ships with the program; `urls` are tried in order.

    sha256, bytes: of the file; None only where the publisher never gave them, then the first download is pinned.
    sha256_prefix: the first digits, where the publisher gives no more; the download must begin with them.
    """

    name: SafeName
    file: SafeName | None = None
    urls: tuple[Address, ...] = ()
    sha256: Sha256 | None = None
    sha256_prefix: Sha256Prefix | None = None
    bytes: int | None = Field(default=None, gt=0)
    licence: str = "unknown"
    source: str = ""
    description: str = ""
    trained_on: str = ""

    @property
    def known_sha256(self) -> str | None:
        """As many of the sha256's first digits as the catalogue has."""
        return self.sha256 or self.sha256_prefix

    @model_validator(mode="after")
    def _has_an_identity(self) -> "Checkpoint":
        if self.sha256 is None and (self.file is not None or not self.urls):
            raise ValueError("sha256 may be absent only where the checkpoint is downloaded and nothing else is known")
        if self.sha256 is not None and self.sha256_prefix is not None:
            raise ValueError("sha256 and sha256_prefix are of the same file: give sha256 alone")
        return self


class AutoRule(Settings):
    """Which pictures `--model auto` gives to a model: those that fulfil both conditions; None is always fulfilled."""

    noise: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]] | None = None
    """From so many levels of 255 on, and below so many."""
    jpeg: tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]] | None = None
    """The lowest JPEG quality and the highest; a picture that never was JPEG counts as 100."""

    @model_validator(mode="after")
    def _ascends(self) -> "AutoRule":
        for name, bounds in (("noise", self.noise), ("jpeg", self.jpeg)):
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"{name} = {list(bounds)}: the lower bound comes first")
        return self

    def takes(self, noise: float, jpeg: int | None) -> bool:
        """Whether a picture with these estimates is for this model."""
        quality = 100 if jpeg is None else jpeg
        quiet = self.noise is None or self.noise[0] <= noise < self.noise[1]
        return quiet and (self.jpeg is None or self.jpeg[0] <= quality <= self.jpeg[1])


class Entry(Checkpoint):
    """A model that upscales.  options: what the method must know about this checkpoint (its room's README says).

    partner: the upscaler with whose picture this one's is fused where it is dark.  auto: the pictures that
    `--model auto` gives to it, None for none at all.
    """

    role: Literal["upscaler"] = "upscaler"
    method: str
    scale: int = Field(ge=1, le=16)
    options: dict[str, Any] = Field(default_factory=dict)
    partner: SafeName | None = None
    auto: AutoRule | None = None


class FeatureNetwork(Checkpoint):
    """Weights that compare pictures, for training and for measuring, and upscale none."""

    role: Literal["features"]


class Described(Protocol):
    """What decides about a network's form."""

    @property
    def method(self) -> str:
        """Which room reads it."""

    @property
    def scale(self) -> int:
        """By how much it enlarges."""

    @property
    def options(self) -> Mapping[str, Any]:
        """As in `Entry`."""


def difference(one: Described, other: Described) -> str:
    """Why two networks are no pair, as in 'scale 4 and 2'; "" where they are alike."""
    sides = {"method": (one.method, other.method), "scale": (one.scale, other.scale)}
    sides |= {"options": (str(dict(one.options)), str(dict(other.options)))} if one.options != other.options else {}
    return ", ".join(f"{what} {first} and {second}" for what, (first, second) in sides.items() if first != second)
