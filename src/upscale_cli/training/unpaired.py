"""Photographs of two kinds without partners: good ones, and real low-resolution ones of other scenes.

Nothing keeps two such folders from being unsuitable, and the losses would not show it; so what is odd is said.
"""

from collections.abc import Sequence
from pathlib import Path

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
"""Pixels a side of the small copies that pictures are compared by: blur, noise and small shifts hardly show there."""
SAME = 0.87
"""Correlation of two such copies from which on they are of the same picture. Of 236 photographs, blurred (sigma 3),
shifted by 8 and 6 pixels, reduced by 4 and noisy, each correlates with its original by 0.889 to 0.99, and with the
nearest other one by 0.831 at most."""
_FLAT = 2.0
"""Grey levels of deviation below which a copy is too flat to tell."""

Named = Sequence[tuple[Path, Pixels]]


def load_unpaired(data: DataSettings, scale: int, patch: int, message: Message, *, halves: bool = False) -> Pictures:
    """Pictures of `data.train`, without partners, and as `source` those of `data.lr`, of which no names are compared.

    halves: the first half of `data.train` by name, and of `data.lr` what has no name of that half nor a held-out one.
    message: also told what is odd about the two folders.
    Raises UsageError without `data.lr` and for less than LEAST pictures; else as `load_pictures`.
    """
    if data.lr is None:
        raise UsageError("data.lr is missing", "--set data.lr=FOLDER of real low-resolution photographs")
    train, validation = load_pairs(data.model_copy(update={"lr": None}), scale, patch, message)
    photographs = load_photographs(("data.lr", data.lr), patch, message)
    if halves:
        train = train[: len(train) // 2]
        taken = {*data.holdout, *(path.stem for path, _ in train)}
        photographs = [(path, pixels) for path, pixels in photographs if path.stem not in taken]
    originals = [(path, pair.hr) for path, pair in train]
    _check_suitable(("data.train", data.train), originals, ("data.lr", data.lr), photographs, message)
    pictures = Pictures([Pair(pixels) for _, pixels in originals], validation, [pixels for _, pixels in photographs])
    message(summary(pictures))
    return pictures


def shared(originals: Named, photographs: Named) -> list[str]:
    """Names of photographs that show the very picture of an original, whatever the two are called."""
    if not originals or not photographs:
        return []
    gists = [np.stack([_gist(pixels) for _, pixels in pictures]) for pictures in (originals, photographs)]
    nearest = (gists[1] @ gists[0].T).argmax(1)
    return [
        f"{path.name} ({originals[place][0].name})"
        for (path, _), gist, place in zip(photographs, gists[1], nearest, strict=True)
        if gist @ gists[0][place] > SAME
    ]


def _check_suitable(high: Folder, originals: Named, low: Folder, photographs: Named, message: Message) -> None:
    """Says what is odd about the two folders.  Raises UsageError for too few pictures."""
    for (key, folder), pictures in ((high, originals), (low, photographs)):
        if len(pictures) < LEAST:
            raise UsageError(
                f"{key} = {folder}: {len(pictures)} pictures to train on are too few", f"give it {LEAST} at least"
            )
        if len(pictures) < FEW:
            message(f"{key} = {folder}: {len(pictures)} pictures are few: discriminators soon know them by heart")
    sides = [np.median([max(pixels.shape[:2]) for _, pixels in pictures]) for pictures in (originals, photographs)]
    if sides[1] > sides[0]:
        message(
            f"{low[0]} = {low[1]}: its pictures are larger than those of {high[0]} (longer side {sides[1]:.0f} to "
            f"{sides[0]:.0f} pixels, the median): it should hold the ones of low resolution"
        )
    _tell_grey([(high, originals), (low, photographs)], message)
    if names := shared(originals, photographs):
        message(
            f"{low[0]} = {low[1]}: {len(names)} of {len(photographs)} pictures are in {high[0]} too: {listed(names)}; "
            "what is learnt from them may not hold for others"
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


def _gist(pixels: Pixels) -> NDArray[np.float32]:
    """(H, W, 3) -> (3 * GIST * GIST,), of mean 0 and norm 1; all 0 for a flat picture."""
    small = cv2.resize(pixels, (GIST, GIST), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return small / np.linalg.norm(small) if small.std() > _FLAT else np.zeros_like(small)
