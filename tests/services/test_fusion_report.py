"""What may be asked for of fusion, and what is said of it."""

import math

import pytest

from upscale_cli.errors import UsageError
from upscale_cli.services.fusion_report import FusionReport, FusionRequest, FusionSettings


def test_the_numbers_are_the_papers_unless_given() -> None:
    assert FusionRequest().settings == FusionSettings(0.6, 0.4, 64.0)
    assert FusionRequest(alpha=0.0, local=True).settings == FusionSettings(0.0, 0.4, 64.0, local=True)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
def test_numbers_that_mean_nothing(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--fuse-{name} {value:g}: is not a number from 0 up"):
        FusionRequest(**{name: value}).check()


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (FusionRequest(False, alpha=0.6), "--fuse-alpha"),
        (FusionRequest(False, beta=0.4), "--fuse-beta"),
        (FusionRequest(False, gamma=64), "--fuse-gamma"),
        (FusionRequest(False, partner="x"), "--fuse-with"),
        (FusionRequest(False, local=True), "--fuse-local"),
        (FusionRequest(False, save_gate="g.png"), "--save-gate"),
    ],
)
def test_nothing_is_fused_in_a_certain_way(request_: FusionRequest, option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} and --no-fuse contradict each other"):
        request_.check()


def test_no_options_ask_for_nothing() -> None:
    for request in (FusionRequest(), FusionRequest(False)):
        request.check()
        assert request.given == []
    assert FusionRequest(True).given == ["--fuse"]


def test_weights_that_change_the_brightness() -> None:
    assert FusionSettings().warning == ""
    assert FusionSettings(0.1 + 0.2, 0.7).warning == "", "rounding is no fault"
    assert "do not add up to 1: what is fused becomes 10.00% brighter" in FusionSettings(0.6, 0.5).warning
    assert "becomes 100.00% darker" in FusionSettings(0, 0).warning


def test_what_is_said_and_recorded() -> None:
    settings, local = FusionSettings(), FusionSettings(local=True)
    said = {
        FusionReport(settings, "s"): "fused 0.6 / 0.4 with s if Y_med is below 64",
        FusionReport(local, "s"): "fused 0.6 / 0.4 with s where it is dark",
        FusionReport(settings, "s", 41.5, 1.0): "dark: Y_med 41.50 < 64, fused 0.6 / 0.4 with s",
        FusionReport(settings, "s", 64.0, 0.0): "Y_med 64.00 >= 64, not fused with s",
        FusionReport(local, "s", 90.0, 0.123): "by pixel: Y_med 90.00, 12.3% fused 0.6 / 0.4 with s around 64",
    }
    assert {report: report.words for report in said} == said
    assert FusionReport(settings, "s", 64.0, 0.0, "g.png").record() == {
        "alpha": 0.6, "beta": 0.4, "gamma": 64.0, "local": False, "partner": "s", "y_med": 64.0, "fused": 0.0,
        "gate": "g.png",
    }  # fmt: skip
