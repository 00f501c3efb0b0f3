"""Memory: what a picture takes, smaller tiles where they would not do, refusal where nothing would; and no leaks."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upscale_cli.errors import PictureError
from upscale_cli.imaging.picture import Header
from upscale_cli.services.inputs import Input
from upscale_cli.services.loading import load_model
from upscale_cli.services.outputs import Target
from upscale_cli.services.picture_job import memory_of
from upscale_cli.services.upscale_images import upscale_images
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest
from upscale_cli.services.upscale_worker import Worker

pytestmark = pytest.mark.usefixtures("one_thread")


class Silent:
    """Nobody watches."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def downloading(self, name: str, done: int, total: int | None) -> None:
        pass

    def started(self, name: str, number: int, count: int) -> None:
        pass

    def advanced(self, share: float) -> None:
        self.shares.append(share)

    def finished(self, report: PictureReport) -> None:
        pass

    def message(self, text: str) -> None:
        pass


def draw(path: Path, width: int, height: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_memory_of_a_picture() -> None:
    """Input, its floats, output; the encoder's copy where there is one; twice 16 bits where it is resampled."""
    header = Header("PNG", 100, 50, 8, "rgb", False)
    pixels = 100 * 50
    network = 400, 200
    assert memory_of(header, network, network, "PNG") == pixels * (3 + 12 + 16 * 3)
    assert memory_of(header, network, network, "JPEG") == pixels * (3 + 12 + 16 * 3 + 16 * 4)
    assert memory_of(header, (200, 100), network, "PNG") == pixels * (3 + 12 + 16 * 6 + 4 * 6)
    # What may be fused stays in 16 bits; the gate of fusion by pixel, in both sizes.
    assert memory_of(header, network, network, "PNG", reworked=True) == pixels * (3 + 12 + 16 * 6)
    assert memory_of(header, (200, 100), network, "PNG", reworked=True) == pixels * (3 + 12 + 16 * 6 + 4 * 6)
    local = memory_of(header, (200, 100), network, "PNG", reworked=True, local=True)
    assert local == pixels * (3 + 12 + 16 * 7 + 4 * 7)
    deep = Header("PNG", 100, 50, 16, "grey", True)
    assert memory_of(deep, network, network, "TIFF") == pixels * (4 + 12 + 20 + 16 * 4)


def test_24_megapixels_leave_room_in_6_gib() -> None:
    header = Header("JPEG", 6000, 4000, 8, "rgb", False)
    assert memory_of(header, (24_000, 16_000), (24_000, 16_000), "PNG") < 1.6 * 2**30
    pair = memory_of(header, (24_000, 16_000), (24_000, 16_000), "PNG", reworked=True, local=True)
    assert pair < 3 * 2**30


def test_a_tile_that_does_not_fit_is_made_smaller(small_model: Path, tmp_path: Path) -> None:
    source = draw(tmp_path / "a.png", 80, 60)
    request = UpscaleRequest((), tile=0, memory=2**21)
    worker = Worker(load_model(small_model, offline=True), request, Silent())
    target = Target(Input(source), tmp_path / "b.png", "PNG")
    report = worker.write(worker.compute(worker.read(worker.inspect(target))))
    assert report.tile is not None
    assert 16 <= report.tile < 80
    assert report.tiles is not None
    assert report.tiles > 1
    assert any("the whole picture at once would need" in note for note in report.notes)
    request = UpscaleRequest((), memory=2**17)
    worker = Worker(load_model(small_model, offline=True), request, Silent())
    assert any("more than --memory allows" in note for note in worker.plan(target).notes)


def test_a_picture_too_large_for_the_machine_is_refused(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(load_model(small_model, offline=True), UpscaleRequest(()), Silent())
    job = worker.inspect(Target(Input(draw(tmp_path / "a.png", 120, 90)), tmp_path / "b.png", "PNG"))
    monkeypatch.setattr("upscale_cli.services.upscale_worker.free_memory", lambda: job.memory - 1)
    with pytest.raises(PictureError, match=r"a\.png: 480 x 360 pixels need about 0\.0 GiB, 0\.0 are free"):
        worker.read(job)


@pytest.mark.parametrize(("width", "height"), [(90, 120), (60, 40), (150, 150)])
def test_a_picture_that_changes_while_it_waits_is_not_made_by_its_former_header(
    small_model: Path, tmp_path: Path, width: int, height: int
) -> None:
    worker = Worker(load_model(small_model, offline=True), UpscaleRequest(()), Silent())
    job = worker.inspect(Target(Input(draw(tmp_path / "a.png", 120, 90)), tmp_path / "b.png", "PNG"))
    draw(tmp_path / "a.png", width, height)
    with pytest.raises(PictureError, match=r"a\.png: was changed while it waited for its turn"):
        worker.read(job)


def test_progress_reaches_the_end(small_model: Path, tmp_path: Path) -> None:
    watch = Silent()
    source = draw(tmp_path / "a.png", 64, 48)
    request = UpscaleRequest((str(source),), model=str(small_model), tile=16)
    report = upscale_images(request, watch)
    assert report.by_status == {"done": 1}
    assert watch.shares == sorted(watch.shares)
    assert watch.shares[-1] == 1.0


def test_a_long_batch_leaks_no_files_and_no_threads(small_model: Path, tmp_path: Path) -> None:
    for number in range(60):
        draw(tmp_path / f"{number:02}.png", 4, 4)
    watch, counts = Silent(), []
    watch.finished = lambda _: counts.append(len(os.listdir("/proc/self/fd")))  # type: ignore[method-assign]  # noqa: PTH208
    request = UpscaleRequest((str(tmp_path),), model=str(small_model), output=str(tmp_path / "out"))
    assert upscale_images(request, watch).by_status == {"done": 60}
    assert max(counts[10:]) <= max(counts[:10]) + 2
