"""Two networks run as a pair: fused where it is dark, exactly as the two pictures say, whatever the tiles."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from upscale_cli.imaging.files import read_picture
from upscale_cli.inference.device import Placement
from upscale_cli.inference.feature_map import FeatureMap
from upscale_cli.inference.tiling import Edges, Frame
from upscale_cli.services.fusion_report import FusionReport, FusionRequest
from upscale_cli.services.inputs import Input
from upscale_cli.services.loading import Model, load_pair
from upscale_cli.services.outputs import Target
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest
from upscale_cli.services.upscale_worker import Worker

pytestmark = pytest.mark.usefixtures("one_thread")
ROOMY, TIGHT = 2**30, 2**20


class Local:
    """Twice as large, each pixel times `gain`, darkened by what is beside it; the whole's mean is settled.

    capacity: a tile with more pixels does not fit into memory.
    """

    scale, halo = 2, 1

    def __init__(self, gain: float, capacity: int | None = None) -> None:
        self.gain, self.capacity, self.runs = gain, capacity, 0

    def tile_bytes(self, height: int, width: int) -> int:
        return 1000 * height * width

    def measure(self, picture: Tensor) -> Tensor:
        return picture.amax(dim=(1, 2, 3))

    def partial(self, x: Tensor, frame: Frame) -> Tensor:
        self.runs += 1
        if self.capacity is not None and x.shape[2] * x.shape[3] > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory")
        edges = frame.edges
        x = F.pad(x, [int(side) for side in (edges.left, edges.right, edges.top, edges.bottom)], mode="replicate")
        x = self.gain * (0.8 * x[:, :, 1:-1, 1:-1] + 0.2 * x[:, :, 2:, :-2])
        left, right, top, bottom = (side * edge for side, edge in zip(frame[:4], edges, strict=True))
        x = x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def contribution(self, partial: Tensor) -> Tensor:
        return partial.double().sum(dim=(1, 2, 3))

    def settle(self, measured: Tensor, total: Tensor, pixels: int) -> Tensor:
        return 1 - 0.5 * (total / (3 * pixels)).float()

    def finish(self, x: Tensor, partial: Tensor, frame: Frame, settled: Tensor) -> Tensor:
        return (partial * settled.reshape(-1, 1, 1, 1)).clamp(0, 1)

    def remarks(self, settled: Tensor) -> list[str]:
        return []


class Staged:
    """Twice as large, times `gain`, and brighter the darker the whole picture is."""

    scale, halo, work = 2, 0, 3.0

    def __init__(self, gain: float) -> None:
        self.gain, self.runs = gain, 0

    def tile_bytes(self, height: int, width: int) -> int:
        return 1000 * height * width

    def feature_bytes(self, height: int, width: int) -> int:
        return 12 * height * width

    def features(self, picture: FeatureMap) -> FeatureMap:
        self.runs += 1
        bright = picture.copy()
        bright.add_attended(lambda x, edges: x, 0, lambda means: (0.1 - 0.1 * means.float()).reshape(1, 3, 1, 1))
        return bright

    def pixels(self, features: Tensor, edges: Edges) -> Tensor:
        return (self.gain * features.float()).clamp(0, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)


@dataclass(frozen=True)
class Made(Model):
    """A model of a network that is there already."""

    of: object = None
    placements: list[Placement] = field(default_factory=list)

    def network(self, placement: Placement, *, projection: bool) -> object:  # type: ignore[override]
        self.placements.append(placement)
        return self.of


class Watch:
    def __init__(self) -> None:
        self.shares: list[float] = []

    def advanced(self, share: float) -> None:
        self.shares.append(share)


@dataclass
class Run:
    report: PictureReport
    pixels: np.ndarray
    shares: list[float]

    @property
    def fusion(self) -> FusionReport:
        assert self.report.fusion is not None
        return self.report.fusion


KINDS = {"halves": Local, "staged": Staged}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type:
    return KINDS[request.param]


def draw(folder: Path, top: int, *, channels: int = 3, dtype: type = np.uint8) -> Target:
    """A picture of 61 x 47 pixels with levels from 0 to `top`."""
    levels = np.random.default_rng(top).integers(0, top + 1, (47, 61, channels)).astype(dtype)
    Image.fromarray(levels[..., 0] if channels == 1 else levels).save(folder / "a.png")
    return Target(Input(folder / "a.png"), folder / "b.png", "PNG")


def ran(
    target: Target, first: object, second: object | None, fusion: FusionRequest | None = None, **how: object
) -> Run:
    partner = None if second is None else Made("second", "none", 2, {}, "5" * 64, of=second)
    model = Made("first", "none", 2, {}, "1" * 64, partner=partner, of=first)
    how = {"memory": ROOMY, "overwrite": True, "device": "cpu"} | how
    watch = Watch()
    worker = Worker(model, UpscaleRequest((), fusion=fusion or FusionRequest(), **how), watch)  # type: ignore[arg-type]
    report = worker.write(worker.compute(worker.read(worker.inspect(target))))
    assert target.path is not None
    return Run(report, read_picture(target.path).pixels, watch.shares)


def test_a_dark_picture_is_the_mixture_of_both(kind: type, tmp_path: Path) -> None:
    target = draw(tmp_path, 90)
    alone, other = ran(target, kind(1.2), None), ran(target, kind(0.7), None)
    fused = ran(target, kind(1.2), kind(0.7))
    assert 0.4 < fused.fusion.y_med / 45 < 1.5  # type: ignore[operator]
    assert fused.fusion.share == 1
    assert np.abs(fused.pixels - (0.6 * alone.pixels + 0.4 * other.pixels)).max() <= 1
    assert np.abs(fused.pixels.astype(int) - alone.pixels).max() > 5
    assert fused.report.fusion is not None
    assert fused.report.fusion.words.startswith("dark: Y_med ")
    assert fused.report.fusion.words.endswith(" < 64, fused 0.6 / 0.4 with second")


def test_the_median_decides_and_is_that_of_the_picture_alone(kind: type, tmp_path: Path) -> None:
    target = draw(tmp_path, 90, dtype=np.uint8)
    alone = ran(target, kind(1.2), None)
    y_med = float(np.median(alone.pixels @ [0.299, 0.587, 0.114]))
    fused = ran(target, kind(1.2), kind(0.7)).fusion
    assert fused.y_med == pytest.approx(y_med, abs=0.5)
    assert fused.y_med is not None
    for gamma, share in ((fused.y_med, 0.0), (np.nextafter(fused.y_med, 255), 1.0)):
        assert ran(target, kind(1.2), kind(0.7), FusionRequest(gamma=float(gamma))).fusion.share == share


@pytest.mark.parametrize("how", [{}, {"tile": 16}, {"scale": 3.0}, {"self_ensemble": True, "tile": 20}])
def test_a_bright_picture_is_byte_for_byte_that_of_the_first(
    kind: type, tmp_path: Path, how: dict[str, object]
) -> None:
    target = draw(tmp_path, 255)
    second = kind(0.7)
    alone, bright = ran(target, kind(1.0), None, **how), ran(target, kind(1.0), second, **how)
    assert bright.fusion.share == 0
    assert ">= 64, not fused with second" in bright.fusion.words
    np.testing.assert_array_equal(bright.pixels, alone.pixels)
    assert second.runs == 0


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(
    "how", [{"tile": 16}, {"tile": 33}, {"tile": 16, "memory": TIGHT}, {"tile": 0, "memory": TIGHT}]
)
def test_tiles_make_the_whole_picture(kind: type, tmp_path: Path, how: dict[str, object], local: bool) -> None:
    target = draw(tmp_path, 90)
    for ensemble in (False, True):
        request = FusionRequest(local=local)
        whole = ran(target, kind(1.2), kind(0.7), request, tile=0, self_ensemble=ensemble)
        tiled = ran(target, kind(1.2), kind(0.7), request, self_ensemble=ensemble, **how)
        assert whole.fusion.share
        assert tiled.fusion.y_med == pytest.approx(whole.fusion.y_med, abs=1e-3)
        np.testing.assert_array_equal(tiled.pixels, whole.pixels)


def test_a_network_that_settles_late_is_fused_once(tmp_path: Path) -> None:
    """Without memory for its partial results the second network's tiles are computed twice, and mixed in once."""
    target, second = draw(tmp_path, 90), Local(0.7)
    fused = ran(target, Local(1.2), second, tile=16, memory=2**10)
    assert second.runs == 2 * fused.report.tiles  # type: ignore[operator]
    np.testing.assert_array_equal(fused.pixels, ran(target, Local(1.2), Local(0.7), tile=0).pixels)


def test_memory_that_runs_out_in_the_second(tmp_path: Path) -> None:
    target = draw(tmp_path, 90)
    small = ran(target, Local(1.2), Local(0.7, capacity=20 * 20), tile=0)
    assert any("out of memory with tiles of 61 pixels" in note for note in small.report.notes)
    np.testing.assert_array_equal(small.pixels, ran(target, Local(1.2), Local(0.7), tile=0).pixels)


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (1, np.uint16)])
def test_grey_and_16_bits(kind: type, tmp_path: Path, channels: int, dtype: type) -> None:
    target = draw(tmp_path, 90 * (np.iinfo(dtype).max // 255), channels=channels, dtype=dtype)
    alone, other = ran(target, kind(1.2), None), ran(target, kind(0.7), None)
    fused = ran(target, kind(1.2), kind(0.7))
    assert fused.fusion.y_med == pytest.approx(float(np.median(alone.pixels)) * 255 / np.iinfo(dtype).max, abs=0.5)
    assert fused.pixels.dtype == dtype
    assert np.abs(fused.pixels - (0.6 * alone.pixels + 0.4 * other.pixels)).max() <= 1


@pytest.mark.parametrize("top", [90, 255])
@pytest.mark.parametrize("fusion", [FusionRequest(), FusionRequest(local=True), FusionRequest(gamma=0)])
def test_progress_rises_to_one_once(kind: type, tmp_path: Path, top: int, fusion: FusionRequest) -> None:
    shares = ran(draw(tmp_path, top), kind(1.0), kind(0.7), fusion, tile=16).shares
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    if top == 90 and fusion.gamma is None:
        assert 0.3 < shares[len(shares) // 2] < 0.7


def test_an_output_far_brighter_than_its_input_does_not_end_twice(tmp_path: Path) -> None:
    """The input promised one network, or two; the output decided otherwise."""
    bright_input = ran(draw(tmp_path, 255), Local(0.2), Local(0.7), tile=16)
    assert bright_input.fusion.share == 1
    dark_input = ran(draw(tmp_path, 120), Local(3.0), Local(0.7), tile=16)
    assert dark_input.fusion.share == 0
    for shares in (bright_input.shares, dark_input.shares):
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_the_gate_is_what_was_fused(kind: type, tmp_path: Path) -> None:
    """Dark on the left, bright on the right, in a picture that is bright on the whole."""
    levels = np.full((40, 200, 3), 30, np.uint8)
    levels[:, 90:] = 140
    Image.fromarray(levels).save(tmp_path / "a.png")
    target = Target(Input(tmp_path / "a.png"), tmp_path / "b.png", "PNG", gate=tmp_path / "gates" / "g.png")
    alone, other = ran(target, kind(1.2), None), ran(target, kind(0.7), None)
    assert not (tmp_path / "gates").exists(), "nothing is decided without a second network"
    local = ran(target, kind(1.2), kind(0.7), FusionRequest(local=True))
    gate = np.asarray(Image.open(tmp_path / "gates" / "g.png"))
    assert gate.shape == local.pixels.shape[:2]
    assert (gate[:, 0], gate[:, -1]) == (pytest.approx(255), pytest.approx(0))
    assert local.fusion.share == pytest.approx(gate.mean() / 255)
    w = gate[..., None] / 255
    expected = w * (0.6 * alone.pixels + 0.4 * other.pixels) + (1 - w) * alone.pixels
    assert np.abs(local.pixels - expected).max() <= 1.01
    for gamma, level in ((64, 0), (255, 255)):
        for scale in (2.0, 1.5):
            run = ran(target, kind(1.2), kind(0.7), FusionRequest(gamma=gamma), scale=scale)
            gate = np.asarray(Image.open(tmp_path / "gates" / "g.png"))
            assert (gate == level).all()
            assert gate.shape == run.pixels.shape[:2]
    ran(target, kind(1.2), kind(0.7), FusionRequest(local=True), scale=1.5)
    assert np.asarray(Image.open(tmp_path / "gates" / "g.png")).shape == (60, 300)


def test_a_gate_that_is_there_is_left_alone(tmp_path: Path) -> None:
    target = Target(draw(tmp_path, 90).source, tmp_path / "b.png", "PNG", gate=tmp_path / "g.png")
    (tmp_path / "g.png").write_bytes(b"mine")
    run = ran(target, Local(1.2), Local(0.7), overwrite=False)
    assert (tmp_path / "g.png").read_bytes() == b"mine"
    assert f"{tmp_path / 'g.png'} exists and is left alone" in run.report.notes
    assert run.fusion.gate == ""


def test_a_reduced_format_must_do_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = draw(tmp_path, 90)
    formats = [torch.float32, torch.bfloat16]
    monkeypatch.setattr("upscale_cli.services.enlarger.Enlarger.number_formats", lambda _: formats)
    good, bad = Local(1.2), Local(0.7)
    asked: list[object] = []

    def faithful(exact: object, reduced: object, _: Tensor) -> bool:
        asked.append(exact)
        return exact is good

    monkeypatch.setattr("upscale_cli.services.enlarger.reduced_is_faithful", faithful)
    assert ran(target, good, bad).report.precision == "fp32"
    assert asked == [good, bad]
    assert ran(target, good, good).report.precision == "bf16"
    assert ran(target, bad, good).report.precision == "fp32"


def test_memory_of_a_pair_is_planned(tmp_path: Path) -> None:
    target = draw(tmp_path, 90)
    pixels = 61 * 47 * 4

    def planned(fusion: FusionRequest, second: object | None) -> PictureReport:
        partner = None if second is None else Made("second", "none", 2, {}, of=second)
        model = Made("first", "none", 2, {}, partner=partner, of=Local(1.0))
        return Worker(model, UpscaleRequest((), memory=ROOMY, fusion=fusion), Watch()).plan(target)

    alone, paired = planned(FusionRequest(), None), planned(FusionRequest(), Local(0.7))
    local = planned(FusionRequest(local=True), Local(0.7))
    assert alone.memory is not None
    assert (paired.memory, local.memory) == (alone.memory + 3 * pixels, alone.memory + 4 * pixels)
    assert paired.fusion is not None
    assert paired.fusion.words == "fused 0.6 / 0.4 with second if Y_med is below 64"


def test_two_files_are_a_pair(small_model: Path, second_model: Path, tmp_path: Path) -> None:
    """Real networks, from their checkpoints."""
    target = draw(tmp_path, 60)
    assert target.path is not None
    pictures = []
    for models in ((small_model, None), (second_model, None), (small_model, second_model)):
        for tile in (0, 16):
            worker = Worker(load_pair(*models, offline=True), UpscaleRequest((), tile=tile, overwrite=True), Watch())
            worker.write(worker.compute(worker.read(worker.inspect(target))))
            pictures.append(read_picture(target.path).pixels.astype(int))
    first, _, second, _, fused, tiled = pictures
    assert np.abs(fused - (0.6 * first + 0.4 * second)).max() <= 1
    assert np.abs(fused - first).max() > 2
    np.testing.assert_array_equal(tiled, fused)
