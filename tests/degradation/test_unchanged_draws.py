"""What the bundled model was trained on: the same seeds must go on giving the same pictures, to the last level."""

import tomllib
import zlib
from pathlib import Path

import numpy as np
import pytest

from upscale_cli.degradation.pipeline import DegradationSettings, degrade

RECIPE = Path(__file__).parents[2] / "configs" / "srrescycgan-generic.toml"

# For seeds 0, 1, ...: CRC-32 of the degraded picture, and the generator's next draw below a million.
DEFAULTS = [
    (1566232520, 269786),
    (1289569411, 950463),
    (1983947801, 175281),
    (967687477, 329799),
    (827074010, 283130),
    (3502235268, 807940),
    (3928157057, 273613),
    (4178774430, 285067),
    (715762016, 318710),
    (2907267970, 286817),
    (2812524578, 153346),
    (3113491989, 601498),
]
GENERIC = [
    (2099891345, 923815),
    (621674775, 58976),
    (1869441219, 208388),
    (3205613040, 621227),
    (4117960582, 283130),
    (2040950644, 277923),
    (1940194963, 746166),
    (516327224, 285067),
    (3378158337, 318710),
    (2043826786, 286817),
    (3665565129, 153346),
    (1308660912, 899409),
]


def _drawn(settings: DegradationSettings, seed: int) -> tuple[int, int]:
    blocks = np.random.default_rng(5).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    rng = np.random.default_rng(seed)
    picture = degrade(np.repeat(np.repeat(blocks, 4, 0), 4, 1), 4, settings, rng)
    return zlib.crc32(picture.tobytes()), int(rng.integers(10**6))


@pytest.mark.parametrize(
    ("tables", "expected"),
    [({}, DEFAULTS), (tomllib.loads(RECIPE.read_text(encoding="utf-8"))["degradation"], GENERIC)],
    ids=["defaults", "generic"],
)
def test_the_draws_are_those_of_before(tables: dict[str, object], expected: list[tuple[int, int]]):
    settings = DegradationSettings.model_validate(tables)
    assert [_drawn(settings, seed) for seed in range(len(expected))] == expected
