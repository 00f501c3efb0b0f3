"""A phone's pictures and a better camera's become pairs in each of the paper's ways; what does not match is named."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phone_pictures import by_phone, save_pair, scene
from upscale_cli.degradation.operations import Pixels, downsample
from upscale_cli.imaging.resize import BICUBIC, resize
from upscale_cli.services import pair_worker
from upscale_cli.services.pair_phone_pictures import pair_phone_pictures
from upscale_cli.services.pair_worker import PairWorker
from upscale_cli.services.phone_pairs import PairRequest
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_images import upscale_images
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport, UpscaleRequest
from upscale_cli.training.pictures import load_pictures
from upscale_cli.training.settings import DataSettings

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass
class Watch:
    """Remembers what it was told, and stops the run at a picture."""

    interrupted_at: int = 0
    reports: list[PictureReport] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def downloading(self, name: str, done: int, total: int | None) -> None: ...

    def started(self, name: str, number: int, count: int) -> None:
        if number == self.interrupted_at:
            raise KeyboardInterrupt

    def advanced(self, share: float) -> None: ...

    def finished(self, report: PictureReport) -> None:
        self.reports.append(report)

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """phone/a.jpg, b.jpg and dslr/a.png, b.png, 72 x 64."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UPSCALE_WEIGHTS", raising=False)
    for number, name in enumerate("ab"):
        save_pair(name, by_phone(scene(number)), scene(number))
    return tmp_path


def _run(watch: Watch | None = None, **options: Any) -> UpscaleReport:
    settings = {"way": "T1", **options}
    return pair_phone_pictures(PairRequest("phone", "dslr", "mobile", **settings), watch or Watch())


def _pixels(path: str) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _manifest() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("mobile/manifest.jsonl").read_text().splitlines()]


def _made() -> list[str]:
    return sorted(path.relative_to("mobile").as_posix() for path in Path("mobile").rglob("*.*"))


def test_t1_enlarges_the_reference_by_bicubic_and_takes_the_phones_picture_as_it_is(here: Path):
    report = _run()
    assert report.by_status == {"done": 2}
    assert _made() == ["hr/a.png", "hr/b.png", "lr/a.png", "lr/b.png", "manifest.jsonl"]
    assert np.array_equal(_pixels("mobile/hr/a.png"), resize(_pixels("dslr/a.png"), 288, 256, BICUBIC))
    assert np.array_equal(_pixels("mobile/lr/a.png"), _pixels("phone/a.jpg"))
    record = _manifest()[0]
    assert (record["source"], record["reference"], record["output"]) == ("phone/a.jpg", "dslr/a.png", "hr/a.png")
    assert (record["recipe"], record["pairs"], record["scale"]) == ("dped", "T1", 4)
    assert (record["hr_size"], record["lr_size"]) == ([288, 256], [72, 64])
    assert record["shift"] == pytest.approx([0, 0], abs=0.3)
    assert record["correlation"] > 0.8
    assert "model" not in record


@pytest.mark.parametrize("way", ["T2", "T3"])
def test_t2_and_t3_enlarge_it_as_upscale_run_does(here: Path, small_model: Path, way: str):
    report = _run(way=way, model=str(small_model), scale=4)
    upscale_images(UpscaleRequest(("dslr",), output="run/", model=str(small_model), suffix=""), Watch())
    for name in "ab":
        assert np.array_equal(_pixels(f"mobile/hr/{name}.png"), _pixels(f"run/{name}.png"))
        assert np.array_equal(_pixels(f"mobile/lr/{name}.png"), _pixels(f"phone/{name}.jpg"))
    record = _manifest()[0]
    assert (record["pairs"], record["model"]) == (way, "small")
    assert record["sha256"] == report.pictures[0].sha256 != ""


def test_another_scale_than_the_models(here: Path, small_model: Path):
    _run(way="T2", model=str(small_model), scale=2)
    assert _pixels("mobile/hr/a.png").shape == (128, 144, 3)


def test_t4_reduces_the_phones_picture_and_takes_the_reference_as_it_is(here: Path):
    save_pair("c", by_phone(scene(2, size=(75, 70))), scene(2, size=(75, 70)))
    _run(way="T4")
    assert np.array_equal(_pixels("mobile/hr/a.png"), _pixels("dslr/a.png"))
    assert np.array_equal(_pixels("mobile/lr/a.png"), downsample(_pixels("phone/a.jpg"), 4, "bicubic"))
    assert np.array_equal(_pixels("mobile/hr/c.png"), _pixels("dslr/c.png")[:68, :72])
    assert _pixels("mobile/lr/c.png").shape == (17, 18, 3)


def test_a_training_takes_the_pairs_as_they_lie(here: Path):
    _run()
    settings = DataSettings(train=Path("mobile/hr"), lr=Path("mobile/lr"))
    pictures = load_pictures(settings, 4, 32, lambda text: None)
    assert [pair.hr.shape for pair in pictures.train] == [(256, 288, 3)] * 2
    assert np.array_equal(pictures.train[0].lr, _pixels("phone/a.jpg"))


def test_pairs_that_do_not_match_are_named_and_the_others_done(here: Path):
    save_pair("moved", by_phone(scene(shift=(-5, 1))), scene())
    save_pair("other", by_phone(scene(1)), scene(2))
    save_pair("size", by_phone(scene(size=(72, 60))), scene())
    save_pair("small", by_phone(scene(size=(30, 60))), scene(size=(30, 60)))
    save_pair("broken", by_phone(scene()), scene())
    Path("dslr/broken.png").write_bytes(Path("dslr/broken.png").read_bytes()[:-60])
    save_pair("only_phone", by_phone(scene()), scene())
    Path("dslr/only_phone.png").unlink()
    Image.fromarray(scene()).save("dslr/only_dslr.png")
    report = _run()
    assert report.by_status == {"done": 2, "failed": 7}
    errors = {Path(picture.input).stem: picture.error for picture in report.failed}
    assert "dslr/moved.png is shifted by 5." in errors["moved"]
    assert "-1.03 pixels" in errors["moved"]
    assert "phone/other.jpg: does not show what dslr/other.png shows" in errors["other"]
    assert "phone/size.jpg: 72x60 pixels, but dslr/size.png has 72x64" in errors["size"]
    assert "phone/small.jpg: 30x60 pixels are too few" in errors["small"]
    assert "dslr/broken.png" in errors["broken"]
    assert "phone/only_phone.jpg: has no partner in dslr" in errors["only_phone"]
    assert "dslr/only_dslr.png: has no partner in phone" in errors["only_dslr"]
    assert _made() == ["hr/a.png", "hr/b.png", "lr/a.png", "lr/b.png", "manifest.jsonl"]


@pytest.mark.parametrize("changed", ["phone/a.jpg", "dslr/a.png"])
def test_a_picture_that_changes_while_it_waits_fails_alone(here: Path, monkeypatch: pytest.MonkeyPatch, changed: str):
    read = PairWorker.read

    def later(self: PairWorker, job: Job) -> Job:
        Image.new("RGB", (80, 80)).save(changed)
        return read(self, job)

    monkeypatch.setattr(PairWorker, "read", later)
    report = _run()
    assert report.by_status == {"done": 1, "failed": 1}
    assert f"{changed}: was changed while it waited" in report.failed[0].error


def test_more_shift_is_allowed_where_asked_for_and_stands_in_the_manifest(here: Path):
    save_pair("moved", by_phone(scene(shift=(-5, 1))), scene())
    assert _run(max_shift=6.0).by_status == {"done": 3}
    assert _manifest()[2]["shift"] == pytest.approx([5, -1], abs=0.3)


def test_what_is_there_is_left_alone_and_made_anew_when_asked(here: Path):
    _run()
    before = Path("mobile/hr/a.png").read_bytes()
    assert _run().by_status == {"skipped": 2}
    assert _run().pictures[0].notes == ()
    other = _run(way="T4")
    assert other.by_status == {"skipped": 2}
    assert other.pictures[0].notes == ("it was made with other settings",)
    assert Path("mobile/hr/a.png").read_bytes() == before
    assert _run(way="T4", overwrite=True).by_status == {"done": 2}
    assert {record["pairs"] for record in _manifest()} == {"T4"}


@pytest.mark.parametrize("lost", ["hr", "lr"])
def test_a_half_pair_is_completed(here: Path, lost: str):
    _run()
    before = {path: path.read_bytes() for path in Path("mobile").rglob("*.*")}
    Path("mobile", lost, "a.png").unlink()
    assert _run().by_status == {"done": 1, "skipped": 1}
    assert {path: path.read_bytes() for path in Path("mobile").rglob("*.*")} == before


def test_a_run_that_ends_between_the_two_files_leaves_no_pair_and_is_gone_on_with(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    whole: Callable[..., tuple[str, ...]] = pair_worker.write_with_record

    def killed(picture: Any, path: Path, record: Any) -> tuple[str, ...]:
        if path.parent.name == "hr":
            raise KeyboardInterrupt
        return whole(picture, path, record)

    with monkeypatch.context() as patch:
        patch.setattr(pair_worker, "write_with_record", killed)
        with pytest.raises(KeyboardInterrupt):
            _run()
    assert "hr/a.png" not in _made()
    assert _run().by_status == {"done": 2}
    assert len(_manifest()) == 2


def test_an_interrupted_run_is_gone_on_with(here: Path):
    with pytest.raises(KeyboardInterrupt):
        _run(Watch(interrupted_at=2))
    assert [record["output"] for record in _manifest()] == ["hr/a.png"]
    assert _run().by_status == {"done": 1, "skipped": 1}
    assert [record["output"] for record in _manifest()] == ["hr/a.png", "hr/b.png"]


def test_a_picture_of_the_users_is_not_written_over(here: Path):
    Path("mobile/lr").mkdir(parents=True)
    Image.fromarray(scene(2)).save("mobile/lr/a.png")
    before = Path("mobile/lr/a.png").read_bytes()
    report = _run()
    assert "mobile/lr/a.png: exists, and is not of this command" in report.failed[0].error
    assert Path("mobile/lr/a.png").read_bytes() == before
    assert not Path("mobile/hr/a.png").exists()
    assert _run(overwrite=True).by_status == {"done": 2}


def test_torch_is_not_needed_without_a_model(here: Path):
    script = (
        "import sys\nfrom upscale_cli.cli.app import main\ntry:\n"
        "    main('degrade --recipe dped --lr phone --reference dslr --pairs T4 -o mobile -q'.split())\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert len(_manifest()) == 2
