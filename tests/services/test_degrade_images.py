"""A folder degraded: the same by seed and name, told in a manifest, gone on with after a break."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from upscale_cli.degradation.operations import downsample
from upscale_cli.degradation.pipeline import degrade
from upscale_cli.degradation.recipes import RECIPES
from upscale_cli.errors import UsageError
from upscale_cli.services.degrade_images import Degrader, DegradeRequest, degrade_images, generator_for
from upscale_cli.services.inputs import Input
from upscale_cli.services.picture_job import Job
from upscale_cli.services.upscale_report import PictureReport, UpscaleReport

CLEAN = "blur_probability = 0\nnoise_probability = 0\njpeg_probability = 0\nkernels = ['box']\n"


class Watch:
    """Remembers what it was told, and stops the run at a picture."""

    def __init__(self, interrupted_at: int = 0) -> None:
        self.reports: list[PictureReport] = []
        self._interrupted_at = interrupted_at

    def started(self, name: str, number: int, count: int) -> None:
        if number == self._interrupted_at:
            raise KeyboardInterrupt

    def finished(self, report: PictureReport) -> None:
        self.reports.append(report)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """hr/: a.png 40x33, b.png 24x16, sub/a.png 16x16."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "hr/sub").mkdir(parents=True)
    for name, shape in (("a.png", (33, 40, 3)), ("b.png", (16, 24, 3)), ("sub/a.png", (16, 16, 3))):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / "hr" / name)
    return tmp_path


def _run(*inputs: str, watch: Watch | None = None, **options: Any) -> UpscaleReport:
    return degrade_images(DegradeRequest(inputs or ("hr",), **{"output": "lr", **options}), watch or Watch())


def _pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def _manifest(folder: str = "lr") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "manifest.jsonl").read_text().splitlines()]


def test_pictures_and_manifest(here: Path):
    report = _run(seed=3, recursive=True)
    assert report.by_status == {"done": 3}
    records = _manifest()
    assert [record["output"] for record in records] == ["a.png", "b.png", "sub/a.png"]
    assert [record["source"] for record in records] == ["hr/a.png", "hr/b.png", "hr/sub/a.png"]
    first = records[0]
    assert (first["scale"], first["recipe"], first["seed"]) == (4, "rwsr", 3)
    assert (first["hr_size"], first["cut"], first["lr_size"]) == ([40, 32], [0, 1], [10, 8])
    assert first["blur"]["size"] == 15
    assert first["jpeg"] is None
    expected = degrade(_pixels("hr/a.png")[:32], 4, RECIPES["rwsr"], generator_for(Input(Path("hr/a.png")), 3))
    assert np.array_equal(_pixels("lr/a.png"), expected)


def test_what_all_pictures_have_in_common_does_not_depend_on_seed_or_name(here: Path):
    _run(recipe="ntire18-mild", seed=1)
    _run(recipe="ntire18-mild", seed=2, output="other")
    records = [*_manifest(), *_manifest("other")]
    assert len(records) == 4
    first = records[0]
    assert [(record["blur"], record["shift"]) for record in records] == [(first["blur"], first["shift"])] * 4
    assert (first["blur"]["kind"], first["noise"]["kind"]) == ("motion", "poisson")
    assert not np.array_equal(_pixels("lr/b.png"), _pixels("other/b.png"))  # the noise is each picture's own
    _run(recipe="ntire18-wild", output="wild")
    a, b = _manifest("wild")
    assert a["blur"]["length"] != b["blur"]["length"]
    assert a["noise"]["peak"] != b["noise"]["peak"]


def test_the_order_of_the_files_does_not_matter_but_name_and_seed_do(here: Path):
    Image.open("hr/a.png").save("hr/c.png")
    _run("hr", seed=1)
    _run("hr/c.png", "hr/b.png", "hr/a.png", seed=1, output="again")
    _run("hr/a.png", seed=2, output="other")
    for name in ("a", "b", "c"):
        assert np.array_equal(_pixels(f"lr/{name}.png"), _pixels(f"again/{name}.png"))
    assert [r["blur"] for r in _manifest()] == [r["blur"] for r in _manifest("again")]
    assert not np.array_equal(_pixels("lr/a.png"), _pixels("lr/c.png"))
    assert not np.array_equal(_pixels("lr/a.png"), _pixels("other/a.png"))


def test_it_is_the_name_below_the_folder_that_counts_and_not_where_the_folder_lies(here: Path):
    Image.open("hr/a.png").save("hr/sub/a.png")
    _run(seed=1, recursive=True)
    Path("hr").rename("moved")
    _run(str(here / "moved"), seed=1, recursive=True, output="again")
    assert np.array_equal(_pixels("lr/a.png"), _pixels("again/a.png"))
    assert np.array_equal(_pixels("lr/sub/a.png"), _pixels("again/sub/a.png"))
    assert not np.array_equal(_pixels("lr/a.png"), _pixels("lr/sub/a.png"))


def test_a_recipe_of_ones_own_and_another_scale(here: Path):
    Path("clean.toml").write_text(CLEAN)
    _run("hr/a.png", recipe="clean.toml", scale=3)
    assert np.array_equal(_pixels("lr/a.png"), downsample(_pixels("hr/a.png")[:33, :39], 3, "box"))
    assert _manifest()[0]["noise"] is None


def test_existing_outputs_are_left_alone_and_written_anew_when_asked(here: Path):
    _run(seed=1)
    before = Path("lr/a.png").read_bytes()
    assert _run(seed=1).by_status == {"skipped": 2}
    assert _run(seed=1).pictures[0].notes == ()
    other = _run(seed=2)
    assert other.by_status == {"skipped": 2}
    assert other.pictures[0].notes == ("it was made with other settings",)
    assert Path("lr/a.png").read_bytes() == before
    assert _run(seed=2, overwrite=True).by_status == {"done": 2}
    assert {record["seed"] for record in _manifest()} == {2}
    assert Path("lr/a.png").read_bytes() != before
    assert _run(seed=1, overwrite=True).by_status == {"done": 2}
    assert Path("lr/a.png").read_bytes() == before


def test_the_manifest_keeps_other_runs_and_loses_what_is_gone(here: Path):
    _run("hr/a.png")
    _run("hr/b.png")
    assert [record["output"] for record in _manifest()] == ["a.png", "b.png"]
    Path("lr/a.png").unlink()
    _run("hr/b.png")
    assert [record["output"] for record in _manifest()] == ["b.png"]


def test_a_picture_that_is_skipped_keeps_the_source_that_it_was_made_from(here: Path):
    Path("other").mkdir()
    Path("other/a.png").write_bytes(Path("hr/sub/a.png").read_bytes())
    _run("hr/a.png")
    assert _run("other/a.png").by_status == {"skipped": 1}
    assert [record["source"] for record in _manifest()] == ["hr/a.png"]
    assert _run("other/a.png", overwrite=True).by_status == {"done": 1}
    assert [record["source"] for record in _manifest()] == ["other/a.png"]


def test_what_another_run_writes_meanwhile_stays_in_the_manifest(here: Path):
    class Other(Watch):
        def finished(self, report: PictureReport) -> None:
            _run("hr/b.png")

    _run("hr/a.png", watch=Other())
    assert [record["output"] for record in _manifest()] == ["a.png", "b.png"]


def test_a_lost_manifest_is_written_again_from_the_pictures(here: Path):
    _run(seed=1)
    before = Path("lr/manifest.jsonl").read_bytes()
    Path("lr/manifest.jsonl").unlink()
    assert _run(seed=1).by_status == {"skipped": 2}
    assert Path("lr/manifest.jsonl").read_bytes() == before


def test_an_interrupted_run_is_told_of_and_gone_on_with(here: Path):
    _run(seed=1, recursive=True, output="whole")
    with pytest.raises(KeyboardInterrupt):
        _run(seed=1, recursive=True, watch=Watch(interrupted_at=3))
    done = {record["output"] for record in _manifest()}
    assert done
    assert done == {path.relative_to("lr").as_posix() for path in Path("lr").rglob("*.png")}
    _run(seed=1, recursive=True)
    assert Path("lr/manifest.jsonl").read_bytes() == Path("whole/manifest.jsonl").read_bytes()
    assert not list(Path("lr").rglob("*.tmp"))


def test_a_picture_that_changes_while_it_waits_fails_alone(here: Path, monkeypatch: pytest.MonkeyPatch):
    read = Degrader.read

    def later(self: Degrader, job: Job) -> Job:
        Image.new("RGB", (20, 20)).save("hr/a.png")
        return read(self, job)

    monkeypatch.setattr(Degrader, "read", later)
    report = _run()
    assert report.by_status == {"done": 1, "failed": 1}
    assert "hr/a.png: was changed while it waited" in report.failed[0].error


def test_a_bad_picture_does_not_stop_the_others(here: Path):
    Path("hr/aa.png").write_bytes(Path("hr/b.png").read_bytes()[:-40])
    Image.new("RGB", (3, 40)).save("hr/thin.png")
    watch = Watch()
    report = _run(watch=watch)
    assert report.by_status == {"done": 2, "failed": 2}
    assert [picture.input for picture in report.failed] == ["hr/aa.png", "hr/thin.png"]
    assert "3 x 40 would become 0 x 10" in report.failed[1].error
    assert sorted(path.name for path in Path("lr").iterdir()) == ["a.png", "b.png", "manifest.jsonl"]
    assert len(watch.reports) == 4


def test_grey_transparent_and_deep_pictures_become_8_bit_rgb(here: Path):
    Path("clean.toml").write_text(CLEAN)
    Path("kinds").mkdir()
    Image.new("L", (8, 8), 77).save("kinds/grey.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 0)).save("kinds/clear.png")
    Image.fromarray(np.full((8, 8), 200 * 257, np.uint16)).save("kinds/deep.png")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 8), (9, 8, 7)).save("kinds/profiled.png", icc_profile=profile)
    report = _run("kinds", recipe="clean.toml")
    colours = {path.stem: _pixels(str(path))[0, 0].tolist() for path in Path("lr").glob("*.png")}
    assert colours == {"grey": [77] * 3, "clear": [1, 2, 3], "deep": [200] * 3, "profiled": [9, 8, 7]}
    notes = {Path(picture.input).stem: picture.notes for picture in report.pictures}
    assert "transparency left out" in notes["clear"]
    assert "16 bits brought down to 8" in notes["deep"]
    assert Image.open("lr/profiled.png").info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "hr"}, "is there itself"),
        ({"output": "-"}, "not a folder"),
        ({"output": "{stem}"}, "not a folder"),
        ({"output": "hr/a.png"}, "not a folder"),
        ({"inputs": ("-",)}, "standard input"),
        ({"inputs": ("empty",)}, "no pictures"),
        ({"inputs": ("hr/a.png", "hr/sub/a.png")}, "would both become"),
        ({"recipe": "rwrs"}, "did you mean rwsr"),
    ],
)
def test_what_cannot_be_is_said_before_the_first_picture(here: Path, options: dict[str, Any], words: str):
    Path("empty").mkdir()
    before = sorted(here.rglob("*"))
    with pytest.raises(UsageError, match=words):
        _run(*options.pop("inputs", ()), **options)
    assert sorted(here.rglob("*")) == before


def test_an_output_folder_below_the_input_is_not_degraded_again(here: Path):
    for _ in range(2):
        _run("hr", output="hr/lr", recursive=True)
    assert [record["output"] for record in _manifest("hr/lr")] == ["a.png", "b.png", "sub/a.png"]
