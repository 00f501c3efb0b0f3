"""Photographs of two kinds without partners: good ones, and real low-resolution ones of other scenes.

Nothing keeps two such folders from being unsuitable, and the losses would not show it; so what is odd is said.
"""

import functools
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from upscale_cli.errors import UsageError
from upscale_cli.training.pictures import (
    Folder,
    Message,
    Pair,
    Pictures,
    Pixels,
    files_of,
    listed,
    load_pairs,
    load_photographs,
    summary,
)
from upscale_cli.training.settings import DataSettings

LEAST = 4
"""Pictures in each folder: fewer have nothing in common that could be learnt."""
FEW = 20
"""Pictures below which discriminators soon know them by heart, which is said."""
GIST = 32
"""Pixels a side of the small copies that pictures are compared by: blur and noise hardly show there."""
SHIFT = 4
"""Half pixels of such a copy that one picture may be shifted by, each way."""
SAME = 0.9
"""Correlation of two such copies from which on they are of the same picture. Of 236 photographs degraded by
ntire17-unknown, ntire18-mild and -wild, each correlates with its original by 0.935 or more and with another one by 0.88
at most; of crops of 256 pixels 234 or more are found and none is mistaken, of 192 pixels 219 or more, and three at most
mistaken."""
_FLAT = 2.0
"""Grey levels of deviation below which a copy is too flat to tell."""

T = TypeVar("T")
Named = Sequence[tuple[Path, Pixels]]
Gists = NDArray[np.float32]
"""(N, K): small copies of N pictures, each of mean 0 and norm 1; all 0 for a flat one."""


def load_unpaired(data: DataSettings, scale: int, patch: int, message: Message, *, halves: bool = False) -> Pictures:
    """Pictures of `data.train`, without partners, and as `source` those of `data.lr`, of which no names are compared.

    halves: the first half of `data.train` by name, and of `data.lr` what has no name of that half nor a held-out one.
    message: also told what is odd about the two folders.
    Raises UsageError without `data.lr`, for less than LEAST pictures, and for halves of other names; else as
    `load_pictures`.
    """
    if data.lr is None:
        raise UsageError("data.lr is missing", "--set data.lr=FOLDER of real low-resolution photographs")
    train, validation = load_pairs(data.model_copy(update={"lr": None}), scale, patch, message)
    photographs = load_photographs(("data.lr", data.lr), patch, message)
    if halves:
        _check_namesakes(data.train, data.lr)
        train = first_half(train, data.train)
        taken = {*data.holdout, *(path.stem for path, _ in train)}
        photographs = [(path, pixels) for path, pixels in photographs if path.stem not in taken]
    originals = [(path, pair.hr) for path, pair in train]
    _check_suitable(("data.train", data.train), originals, ("data.lr", data.lr), photographs, message, halves=halves)
    if seen := shared([pair.hr for pair in validation], [pixels for _, pixels in photographs]):
        message(
            f"data.lr = {data.lr}: at least {len(seen)} of {len(photographs)} pictures are among those that validation "
            f"is measured on: {listed([photographs[place][0].name for place in seen])}; take them out of either"
        )
    pictures = Pictures([Pair(pixels) for _, pixels in originals], validation, [pixels for _, pixels in photographs])
    message(summary(pictures))
    return pictures


def first_half(pictures: list[T], folder: Path) -> list[T]:
    """The paper's split, of the pictures of `data.train`.  Raises UsageError where there is nothing to halve."""
    if len(pictures) < 2:
        raise UsageError(f"data.train = {folder}: one picture to train on has no half", "leave data.halves out")
    return pictures[: len(pictures) // 2]


def shared(originals: Sequence[Pixels], photographs: Sequence[Pixels]) -> dict[int, int]:
    """The photographs that show the very picture of an original, each with the nearest of these.

    Only what is not cut, turned or mirrored is found, and not all of that: what is blurred or shifted strongly is not.
    """
    if not originals or not photographs:
        return {}
    reduced = {(y, x): _reduced(originals, y, x) for y, x in product(range(2), repeat=2)}  # half a pixel apart
    windows = product(range(2 * SHIFT + 1), repeat=2)
    middle = _gists(_reduced(photographs, 0, 0), SHIFT // 2, SHIFT // 2)
    alike = functools.reduce(np.maximum, (middle @ _gists(reduced[y % 2, x % 2], y // 2, x // 2).T for y, x in windows))
    nearest = alike.argmax(1)
    return {place: int(nearest[place]) for place in np.flatnonzero(alike.max(1) > SAME).tolist()}


def _check_namesakes(train: Path, lr: Path) -> None:
    """Raises UsageError where names cannot tell which half of `train` the pictures of `lr` belong to."""
    stems = {path.stem for path in files_of("data.train", train)}
    if strangers := [path.name for path in files_of("data.lr", lr) if path.stem not in stems]:
        raise UsageError(
            f"data.halves: not of the names of {train}: {listed(strangers)} in data.lr = {lr}",
            "name them as their originals are called, or leave data.halves out",
        )


def _check_suitable(
    high: Folder, originals: Named, low: Folder, photographs: Named, message: Message, *, halves: bool
) -> None:
    """Says what is odd about the two folders.  Raises UsageError for too few pictures."""
    needed = f"data.halves leaves the rest out: give it {2 * LEAST}" if halves else f"give it {LEAST} at least"
    for (key, folder), pictures in ((high, originals), (low, photographs)):
        if len(pictures) < LEAST:
            raise UsageError(f"{key} = {folder}: {len(pictures)} pictures to train on are too few", needed)
        if len(pictures) < FEW:
            message(f"{key} = {folder}: {len(pictures)} pictures are few: discriminators soon know them by heart")
    sides = [np.median([max(pixels.shape[:2]) for _, pixels in pictures]) for pictures in (originals, photographs)]
    if sides[1] > sides[0]:
        message(
            f"{low[0]} = {low[1]}: its pictures are larger than those of {high[0]} (longer side {sides[1]:.0f} to "
            f"{sides[0]:.0f} pixels, the median): it should hold the ones of low resolution"
        )
    _tell_grey([(high, originals), (low, photographs)], message)
    seen = shared([pixels for _, pixels in originals], [pixels for _, pixels in photographs])
    if names := [f"{photographs[place][0].name} ({originals[other][0].name})" for place, other in seen.items()]:
        message(
            f"{low[0]} = {low[1]}: at least {len(names)} of {len(photographs)} pictures are in {high[0]} too: "
            f"{listed(names)}; what is learnt from them may not hold for others"
        )


def _tell_grey(folders: Sequence[tuple[Folder, Named]], message: Message) -> None:
    """Names grey pictures that stand beside coloured ones, in either folder."""
    grey = [[path.name for path, pixels in pictures if _is_grey(pixels)] for _, pictures in folders]
    if sum(map(len, grey)) == sum(len(pictures) for _, pictures in folders):
        return
    for ((key, folder), pictures), names in zip(folders, grey, strict=True):
        if names:
            message(
                f"{key} = {folder}: {len(names)} of {len(pictures)} pictures are grey: {listed(names)}; with coloured "
                "ones beside them colours may be lost, so take them out if your photos are in colour"
            )


def _is_grey(pixels: Pixels) -> bool:
    return bool((pixels == pixels[:, :, :1]).all())


def _reduced(pictures: Sequence[Pixels], y: int, x: int) -> NDArray[np.float32]:
    """N of (H, W, 3) -> (N, GIST, GIST, 3), or one row and column less from half a pixel on."""
    fine = np.stack([cv2.resize(each, (2 * GIST, 2 * GIST), interpolation=cv2.INTER_AREA) for each in pictures])
    cut = fine[:, y : 2 * GIST - y, x : 2 * GIST - x].astype(np.float32)
    rows = cut[:, ::2] + cut[:, 1::2]
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4, np.float32)


def _gists(reduced: NDArray[np.float32], top: int, left: int) -> Gists:
    """The windows there, SHIFT pixels smaller than the small copies."""
    side = GIST - SHIFT
    found = reduced[:, top : top + side, left : left + side].reshape(len(reduced), -1)
    found = found - found.mean(1, keepdims=True)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    flat = norms <= _FLAT * np.sqrt(found.shape[1])
    return np.asarray(found / np.where(flat, np.inf, norms), np.float32)
