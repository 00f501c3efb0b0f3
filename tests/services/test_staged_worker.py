"""A network whose features are kept between its steps, as a picture's worker runs it: memory, notes, what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from upscale_cli.inference.device import Placement
from upscale_cli.inference.feature_map import FeatureMap
from upscale_cli.inference.tiling import Edges
from upscale_cli.services.inputs import Input
from upscale_cli.services.loading import Model
from upscale_cli.services.outputs import Target
from upscale_cli.services.provenance import read_provenance
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest
from upscale_cli.services.upscale_worker import Worker

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH, HEIGHT = 80, 60
FEATURES = 100 * 2**20
ROOMY, TIGHT = 2**30, 2**27


class Brightening:
    """Twice as large, and brighter the darker the whole picture is."""

    scale, halo, work = 2, 0, 3.0

    def tile_bytes(self, height: int, width: int) -> int:
        return 1000 * height * width

    def feature_bytes(self, height: int, width: int) -> int:
        return FEATURES

    def features(self, picture: FeatureMap) -> FeatureMap:
        bright = picture.copy()
        bright.add_attended(lambda x, edges: x, 0, lambda means: (1 - means.float()).reshape(1, 3, 1, 1))
        return bright

    def pixels(self, features: Tensor, edges: Edges) -> Tensor:
        return features.float().clamp(0, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)


class BrighteningModel(Model):
    def network(self, placement: Placement, *, projection: bool) -> Brightening:
        return Brightening()


class Silent:
    def advanced(self, share: float) -> None:
        pass


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Dark on the left, bright on the right."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, : WIDTH // 2], pixels[:, WIDTH // 2 :] = 40, 120
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return Target(Input(tmp_path / "a.png"), tmp_path / "b.png", "PNG")


def worker(**settings: object) -> Worker:
    return Worker(BrighteningModel("brightening", "none", 2, {}), UpscaleRequest((), **settings), Silent())  # type: ignore[arg-type]


def done(target: Target, **settings: object) -> tuple[PictureReport, np.ndarray]:
    of = worker(**settings)
    report = of.write(of.compute(of.read(of.inspect(target))))
    assert target.path is not None
    return report, np.asarray(Image.open(target.path))


def test_every_way_gives_the_same_picture(target: Target) -> None:
    _, expected = done(target, tile=0, memory=ROOMY)
    mean = (40 + 120) / 2 / 255
    assert np.unique(expected).tolist() == [round(40 * (2 - mean)), round(120 * (2 - mean))]
    for settings in ({"tile": 16}, {"self_ensemble": True}, {"precision": "bf16", "tile": 33}):
        for memory in (ROOMY, TIGHT):
            _, pixels = done(target, memory=memory, **settings)
            assert (pixels == expected).all(), settings


def test_features_count_where_they_are_in_memory(target: Target) -> None:
    roomy, tight = (worker(tile=16, memory=memory).plan(target) for memory in (ROOMY, TIGHT))
    assert roomy.memory is not None
    assert tight.memory is not None
    assert roomy.memory - tight.memory == FEATURES
    assert roomy.notes == ()
    assert any(" MiB of features do not fit into memory: kept in a temporary file" in note for note in tight.notes)


def test_the_report_says_what_the_plan_said(target: Target) -> None:
    report, _ = done(target, tile=16, memory=TIGHT)
    planned = worker(tile=16, memory=TIGHT).plan(target)
    assert (report.memory, report.notes, report.tiles) == (planned.memory, planned.notes, planned.tiles)


def test_local_statistics_need_no_features_and_say_how_far_off_they_are(target: Target) -> None:
    assert worker(tile=16, memory=TIGHT, local_statistics=True).plan(target).notes == ()
    report, pixels = done(target, tile=20, memory=TIGHT, local_statistics=True)
    _, exact = done(target, tile=20, memory=TIGHT)
    assert target.path is not None
    off = np.abs(pixels.astype(int) - exact).max()
    assert off > 5
    [note] = [note for note in report.notes if "its own means" in note]
    said = float(note.split("up to ")[1].split()[0])
    assert abs(said - off) <= 1


def test_the_picture_says_which_statistics_it_was_made_with(target: Target) -> None:
    assert target.path is not None
    for local, word in ((True, "local"), (False, "exact")):
        done(target, tile=20, local_statistics=local)
        assert read_provenance(target.path)["Tile-Statistics"] == word


@pytest.mark.parametrize("side", [16, 0])
def test_bf16_is_probed(target: Target, side: int) -> None:
    formats: list[torch.dtype] = []

    class Remembering(BrighteningModel):
        def network(self, placement: Placement, *, projection: bool) -> Brightening:
            formats.append(placement.dtype)
            return Brightening()

    pixels = np.tile(np.asarray(Image.open(target.source.path or "")), (3, 3, 1))  # large enough to be worth it
    Image.fromarray(pixels).save(target.source.path or "")
    of = Worker(Remembering("brightening", "none", 2, {}), UpscaleRequest((), tile=side, device="cpu"), Silent())
    of._enlarger.number_formats = lambda: [torch.float32, torch.bfloat16]  # type: ignore[method-assign]
    report = of.write(of.compute(of.read(of.inspect(target))))
    assert set(formats) == {torch.float32, torch.bfloat16}
    assert report.precision == "bf16"
