"""What `upscale degrade --recipe dped` is asked for, and the two cameras' pictures joined by name."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.registration import SEARCH
from upscale_cli.services.inputs import Input, collect_inputs, is_folder
from upscale_cli.services.outputs import STDOUT, Naming, Target, plan_outputs

WAYS = {
    "T1": "the reference enlarged by bicubic",
    "T2": "the reference enlarged by a model that aims at the eye",
    "T3": "the reference enlarged by a model that aims at PSNR",
    "T4": "the reference as it is, beside the phone's picture reduced",
}
"""RWSR, Table 2: how a pair's high-resolution picture comes about."""
BY_MODEL = ("T2", "T3")
HIGH, LOW = "hr", "lr"
"""The folders of the pairs: what a training recipe takes as `data.train` and `data.lr`."""
_NAMED = 3
"""How many names a message lists."""
Key = tuple[str, str]
"""By which partners are known: the folder below the one named, and the name without suffix."""


@dataclass(frozen=True)
class PairRequest:
    """The options of `upscale degrade --recipe dped`; its help says what they mean.  way: a key of WAYS."""

    phone: str
    reference: str
    output: str
    scale: int = 4
    way: str = "T2"
    model: str | None = None
    max_shift: float = 1.0
    recursive: bool = False
    overwrite: bool = False

    def check(self) -> None:
        """Raises UsageError for a value that no pair could satisfy."""
        if self.way not in WAYS:
            raise UsageError(f"--pairs {self.way}: is none of {', '.join(WAYS)}", "T2 unless told")
        if self.model is not None and self.way not in BY_MODEL:
            raise UsageError(f"--sr-model {self.model}: {self.way} has no model", f"{' and '.join(BY_MODEL)} have one")
        if not (math.isfinite(self.max_shift) and 0 <= self.max_shift < SEARCH):
            what = f"--max-shift {self.max_shift:g}: is outside 0 to {SEARCH - 1} pixels"
            raise UsageError(what, "further off than that, two pictures are not known to be a pair")
        if self.output == STDOUT or "{" in self.output:
            raise UsageError(f"-o {self.output}: is not a folder", "name the folder of the pairs")


class Pairs(NamedTuple):
    """targets: one for each phone's picture, where the reference's goes; those without a partner with that fault.
    references: by `key_of` the phone's picture."""

    targets: list[Target]
    references: Mapping[Key, Input]


def find_pairs(request: PairRequest) -> Pairs:
    """The pictures of both folders, joined by name, suffixes apart.

    Raises UsageError for a folder without pictures, for two of one name, where no name is in both, and for an output
    that cannot be.
    """
    phones = _by_key("--lr", request.phone, request)
    references = _by_key("--reference", request.reference, request)
    if not phones.keys() & references:
        raise UsageError(
            f"{request.phone} and {request.reference} have no name in common",
            "a phone's picture and its reference are called the same, suffixes apart",
        )
    inputs = [_partnered(one, key in references, request.reference) for key, one in phones.items()]
    alone = [one for key, one in references.items() if key not in phones]
    inputs += [_partnered(one, False, request.phone) for one in alone]
    return Pairs(_targets(inputs, references.values(), request), references)


def key_of(source: Input) -> Key:
    """By which the partner is known."""
    return source.below.as_posix(), source.stem


def low_path(high: Path, output: str) -> Path:
    """Where the phone's picture goes whose partner goes to `high`."""
    return Path(output) / LOW / high.relative_to(Path(output) / HIGH)


def _by_key(option: str, folder: str, request: PairRequest) -> dict[Key, Input]:
    if not is_folder(folder):
        raise UsageError(f"{option} {folder}: there is no such folder", "name a folder of pictures")
    found = collect_inputs([os.path.join(folder, "")], recursive=request.recursive)  # noqa: PTH118 - a folder called "-"
    twice = [name for (_, name), count in Counter(map(key_of, found)).items() if count > 1]
    if twice:
        more = f" and {len(twice) - _NAMED} more" if len(twice) > _NAMED else ""
        raise UsageError(
            f"{option} {folder}: several pictures are called {', '.join(twice[:_NAMED])}{more}", "keep one"
        )
    return {key_of(one): one for one in found}


def _partnered(one: Input, has_partner: bool, folder: str) -> Input:
    if has_partner or one.fault is not None:
        return one
    fault = PictureError(f"{one.name}: has no partner in {folder}", "which would be called the same, suffixes apart")
    return replace(one, fault=fault)


def _targets(phones: list[Input], references: Iterable[Input], request: PairRequest) -> list[Target]:
    output = Path(request.output)
    for source in (*phones, *references):
        assert source.path is not None
        for folder in (output / HIGH, output / LOW):
            if os.path.realpath(folder / source.below) == os.path.realpath(source.path.parent):
                raise UsageError(f"-o {request.output}: {source.name} is there itself", "choose another folder")
    # A slash at the end says that it is a folder.
    naming = Naming(os.path.join(output, HIGH, ""), "PNG", "", f"{request.scale}", "", request.overwrite)  # noqa: PTH118
    return plan_outputs(phones, naming)
