"""A model's figures are those of the pictures that `upscale run` would write, and the same every time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from upscale_cli.degradation.operations import downsample
from upscale_cli.errors import UsageError
from upscale_cli.imaging.niqe import niqe
from upscale_cli.imaging.quality import Protocol, psnr, ssim
from upscale_cli.imaging.resize import BICUBIC, resize
from upscale_cli.services.degrade_images import DegradeRequest, degrade_images
from upscale_cli.services.evaluate_model import evaluate_model
from upscale_cli.services.evaluate_report import EvaluateReport, EvaluateRequest, PictureScores
from upscale_cli.services.evaluation_pairs import as_rgb8, reduction
from upscale_cli.services.upscale_images import upscale_images
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest

pytestmark = pytest.mark.usefixtures("one_thread")


class Silent:
    """Nobody watches, but what is measured is noted."""

    def __init__(self) -> None:
        self.shown: list[PictureScores] = []

    def downloading(self, name: str, done: int, total: int | None) -> None:
        pass

    def started(self, name: str, number: int, count: int) -> None:
        pass

    def advanced(self, share: float) -> None:
        pass

    def measured(self, scores: PictureScores) -> None:
        self.shown.append(scores)

    def stopped(self, report: EvaluateReport, count: int) -> None:
        pass

    def finished(self, report: PictureReport) -> None:
        pass

    def message(self, text: str) -> None:
        pass


def photo(width: int, height: int, left: int = 100) -> np.ndarray:
    return np.ascontiguousarray(skimage.data.chelsea()[60 : 60 + height, left : left + width])


def save(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def request_for(small_model: Path, tmp_path: Path) -> EvaluateRequest:
    """Two originals in `hr`, one of them with sides that are no multiples of 4."""
    save(photo(56, 48), tmp_path / "hr" / "a.png")
    save(photo(51, 46, left=180), tmp_path / "hr" / "b.png")
    return EvaluateRequest(tmp_path / "hr", Protocol(crop_border=4), UpscaleRequest((), model=str(small_model)))


def evaluate(request: EvaluateRequest) -> EvaluateReport:
    return evaluate_model(request, Silent())


def test_figures_are_those_of_what_run_writes(request_for: EvaluateRequest, tmp_path: Path) -> None:
    original = photo(51, 46, left=180)[:44, :48]
    small = save(downsample(original, 4, "bicubic"), tmp_path / "b.png")
    ran = replace(request_for.upscale, inputs=(str(small),), output=str(tmp_path / "b_large.png"))
    assert upscale_images(ran, Silent()).by_status == {"done": 1}
    written = np.asarray(Image.open(tmp_path / "b_large.png"))
    report = evaluate(request_for)
    scores = report.pictures[1]
    assert scores.size == (48, 44)
    assert scores.model is not None
    assert scores.model.values["psnr"] == pytest.approx(psnr(written, original, border=4))
    assert scores.model.values["ssim"] == pytest.approx(ssim(written, original, border=4))
    enlarged = np.asarray(Image.open(small).resize((48, 44), Image.Resampling.BICUBIC))
    assert scores.bicubic is not None
    assert scores.bicubic.values["psnr"] == pytest.approx(psnr(enlarged, original, border=4), abs=0.02)
    assert report.bicubic_mean is not None
    both = [picture.bicubic.values["psnr"] for picture in report.pictures if picture.bicubic is not None]
    assert report.bicubic_mean.values["psnr"] == pytest.approx(sum(both) / 2)


def test_channel_self_ensemble_and_sharpening_count(request_for: EvaluateRequest) -> None:
    plain = evaluate(request_for).model_mean
    luminance = evaluate(replace(request_for, protocol=Protocol("y", 4))).model_mean
    ensemble = evaluate(replace(request_for, upscale=replace(request_for.upscale, self_ensemble=True))).model_mean
    assert plain is not None
    assert luminance is not None
    crisp = evaluate(replace(request_for, upscale=replace(request_for.upscale, sharpen=1.0))).model_mean
    assert ensemble is not None
    assert crisp is not None
    assert len({mean.values["psnr"] for mean in (plain, luminance, ensemble, crisp)}) == 4


def test_given_pictures_are_used_as_they_are(request_for: EvaluateRequest, tmp_path: Path) -> None:
    for name, original in (("a", photo(56, 48)), ("b", photo(51, 46, left=180)[:44, :48])):
        save(downsample(original, 4, "bicubic"), tmp_path / "lr" / f"{name}.bmp")
    made, given = evaluate(request_for), evaluate(replace(request_for, lr=tmp_path / "lr"))
    assert [(p.model, p.bicubic) for p in given.pictures] == [(p.model, p.bicubic) for p in made.pictures]


def test_noise_depends_on_name_and_seed_alone(request_for: EvaluateRequest) -> None:
    request = replace(request_for, degrade="noise:8")
    first = evaluate(request).pictures
    save(photo(56, 48), request.hr / "0.png")
    later = evaluate(request).pictures
    assert [p.model for p in later[1:]] == [p.model for p in first]
    assert later[0].model != later[1].model  # the same picture under another name
    assert evaluate(replace(request, seed=1)).pictures[1].model != first[0].model


def test_what_degrade_does(request_for: EvaluateRequest) -> None:
    hr = photo(160, 160)
    plain, noisy, compressed = (
        reduction(text)(hr, 4, np.random.default_rng(0)).astype(float) for text in ("clean", "noise:8", "jpeg:30")
    )
    assert np.array_equal(plain, downsample(hr, 4, "bicubic"))
    assert (noisy - plain).std() == pytest.approx(8, abs=0.4)
    assert 2 < (compressed - plain).std() < 12
    for wrong in ("", "blur", "noise", "noise:", "noise:-1", "noise:nan", "jpeg:0", "jpeg:30.5", "clean:1", "jpeg:101"):
        with pytest.raises(UsageError, match="is none of clean, noise:SIGMA"):
            reduction(wrong)


def test_a_recipe_spoils_as_upscale_degrade_does(request_for: EvaluateRequest, tmp_path: Path) -> None:
    degrade_images(DegradeRequest((str(request_for.hr),), str(tmp_path / "lr"), recipe="rwsr", seed=7), Silent())
    made = evaluate(replace(request_for, degrade="rwsr", seed=7))
    given = evaluate(replace(request_for, lr=tmp_path / "lr"))
    assert [p.model for p in made.pictures] == [p.model for p in given.pictures]
    assert [p.model for p in made.pictures] != [p.model for p in evaluate(request_for).pictures]


def test_a_recipe_of_one_s_own_spoils_too(request_for: EvaluateRequest, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("noise_sigma = [40, 40]\nnoise_probability = 1.0\n")
    spoiled = evaluate(replace(request_for, degrade=str(tmp_path / "mine.toml"))).bicubic_mean
    clean = evaluate(request_for).bicubic_mean
    assert spoiled is not None
    assert clean is not None
    assert spoiled.values["psnr"] < clean.values["psnr"] - 2
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        reduction("nowhere.toml")


def test_niqe_asks_for_no_original(small_model: Path, tmp_path: Path) -> None:
    original = photo(200, 108)
    save(original, tmp_path / "hr" / "a.png")
    request = EvaluateRequest(
        tmp_path / "hr", Protocol(crop_border=4), UpscaleRequest((), model=str(small_model)), metrics=("niqe", "psnr")
    )
    scores = evaluate(request).pictures[0]
    assert scores.bicubic is not None
    assert list(scores.bicubic.values) == ["niqe", "psnr"]
    enlarged = resize(downsample(original, 4, "bicubic"), 200, 108, BICUBIC)
    assert scores.bicubic.values["niqe"] == pytest.approx(niqe(enlarged[4:-4, 4:-4]))


def test_metrics_that_do_not_exist_or_do_not_fit_are_named(request_for: EvaluateRequest) -> None:
    with pytest.raises(UsageError, match="--metrics: 'lpipz' is none of psnr, ssim, lpips, niqe"):
        evaluate(replace(request_for, metrics=("psnr", "lpipz")))
    causes = [str(picture.cause) for picture in evaluate(replace(request_for, metrics=("niqe",))).pictures]
    assert all("NIQE needs two blocks of 96 x 96 pixels, not" in cause and "other metrics" in cause for cause in causes)


def test_a_bad_picture_is_counted_and_the_others_measured(request_for: EvaluateRequest) -> None:
    whole = evaluate(request_for)
    (request_for.hr / "0.png").write_bytes(b"no picture")
    save(photo(20, 16), request_for.hr / "small.png")
    save(photo(3, 16), request_for.hr / "thin.png")
    watch = Silent()
    report = evaluate_model(request_for, watch)
    causes = [str(picture.cause or "") for picture in report.pictures]
    assert ["is not a picture" in causes[0], *causes[1:3]] == [True, "", ""]
    assert "20x16 pixels, the comparison (RGB, border 4) needs 19 a side" in causes[3]
    assert "smaller than 4 pixels a side" in causes[4]
    assert report.failed == 3
    assert report.model_mean == whole.model_mean
    assert watch.shown == list(report.pictures)


def test_sizes_that_do_not_match_fail_one_picture(request_for: EvaluateRequest, tmp_path: Path) -> None:
    save(photo(14, 12), tmp_path / "lr" / "a.png")
    save(photo(12, 12), tmp_path / "lr" / "b.png")
    report = evaluate(replace(request_for, lr=tmp_path / "lr"))
    assert [picture.cause is None for picture in report.pictures] == [True, False]
    assert "b.png: 12x12 pixels" in str(report.pictures[1].cause)
    assert "needs 12x11 for x4" in str(report.pictures[1].cause)


def test_deep_grey_and_transparent_pictures_are_compared_too(request_for: EvaluateRequest) -> None:
    grey = photo(56, 48)[..., 0]
    save(grey, request_for.hr / "grey.png")
    save(grey.astype(np.uint16) * 257, request_for.hr / "deep.png")
    save(np.dstack([photo(56, 48), grey]), request_for.hr / "clear.png")
    scores = {Path(picture.picture).stem: picture for picture in evaluate(request_for).pictures}
    assert all(picture.cause is None for picture in scores.values())
    assert scores["grey"].model == scores["deep"].model
    assert scores["clear"].model == scores["a"].model


def test_samples_become_8_bit_rgb() -> None:
    deep = np.array([[[0], [128], [129], [65535]]], np.uint16)
    assert as_rgb8(deep).tolist() == [[[0] * 3, [0] * 3, [1] * 3, [255] * 3]]
    assert as_rgb8(photo(8, 8)).tolist() == photo(8, 8).tolist()


def test_json_knows_no_infinity(small_model: Path, tmp_path: Path) -> None:
    save(np.full((24, 24, 3), 90, np.uint8), tmp_path / "hr" / "flat.png")
    request = EvaluateRequest(tmp_path / "hr", Protocol(), UpscaleRequest((), model=str(small_model)))
    save(photo(24, 24), tmp_path / "hr" / "photo.png")
    report = evaluate(request)
    record, other = (picture.record() for picture in report.pictures)
    assert record["bicubic"]["psnr"] is None
    assert other["bicubic"]["psnr"] > 0
    assert report.record()["bicubic"]["psnr"] is None, "no picture is left out of a mean"
    assert report.record()["bicubic"]["ssim"] < 1
    assert record["bicubic"]["ssim"] == pytest.approx(1)


def test_what_reading_leaves_out_is_said(request_for: EvaluateRequest, tmp_path: Path) -> None:
    low = tmp_path / "lr"
    for name in ("a", "b"):
        original = Image.open(tmp_path / "hr" / f"{name}.png")
        width, height = original.width // 4, original.height // 4
        small = original.resize((width, height))
        small.convert("CMYK").save(save(np.array(small), low / f"{name}.png").with_suffix(".tif"))
        (low / f"{name}.png").unlink()
    frames = Image.open(tmp_path / "hr" / "a.png")
    frames.save(tmp_path / "hr" / "a.tif", save_all=True, append_images=[frames])
    (tmp_path / "hr" / "a.png").unlink()
    first, second = evaluate_model(replace(request_for, lr=low), Silent()).pictures
    cmyk = "CMYK converted to sRGB without a profile: colours are approximate"
    assert first.notes == (cmyk, "original: frame 1 of 2: the others are left out")
    assert second.notes == (cmyk,)
