"""What `upscale zeroshot` is asked for and says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from upscale_cli.errors import UsageError
from upscale_cli.services.learning_report import UNLIKE, LearningReport, LearningRequest

REPORT = LearningReport(3000, "3000 of 3000 steps, seed 0", (2.123456, 1.5), 41.25)


def test_the_verdict_in_a_line():
    assert REPORT.words == "kernel 2.1 x 1.5 pixels wide; reduced again 41.2 dB near the picture"
    assert "far off: look at it" in replace(REPORT, consistency=UNLIKE - 1).words
    assert "looks better than bicubic (NIQE 4.00, 5.00)" in replace(REPORT, niqe=4.0, bicubic_niqe=5.0).words
    assert "looks no better than bicubic" in replace(REPORT, niqe=5.0, bicubic_niqe=5.0).words
    measured = replace(REPORT, psnr=30.0, bicubic_psnr=28.5, ssim=0.9, bicubic_ssim=0.85)
    assert measured.words.endswith("PSNR 30.00 dB, bicubic 28.50; SSIM 0.9000, bicubic 0.8500")


def test_the_record_holds_what_is_known():
    record = json.loads(json.dumps(REPORT.record()))
    assert record["width"] == [2.1235, 1.5]
    assert "niqe" not in record
    assert "psnr" not in record


def test_settings_say_what_a_result_depends_on():
    assert LearningRequest(steps=90, seed=7).settings(40) == "quick, 40 of 90 steps, seed 7"
    assert (
        LearningRequest("paper", kernel=Path("k.png")).settings(3000)
        == "paper, 3000 of 3000 steps, seed 0, kernel given"
    )
    assert LearningRequest(kernel=Path("box")).settings(100) == "quick, 100 of 100 steps, seed 0, kernel box"


@pytest.mark.parametrize("scale", [1, 0.5, 8.5, float("nan"), float("inf")])
def test_scales_that_cannot_be(scale: float):
    with pytest.raises(UsageError, match="--scale"):
        LearningRequest().check(scale)


def test_what_is_usual_passes():
    LearningRequest().check(2)
    LearningRequest(steps=1, seed=2**32 - 1, kernel=Path("k.png"), max_seconds=1.0).check(8)
