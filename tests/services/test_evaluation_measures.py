"""LPIPS among the measures: of what the protocol compares, by AlexNet from the cache."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from upscale_cli.errors import WeightsError
from upscale_cli.imaging.quality import Protocol
from upscale_cli.imaging.tensors import to_tensor
from upscale_cli.networks.alexnet import AlexNet
from upscale_cli.networks.lpips import Lpips, LpipsHead
from upscale_cli.services.evaluate_report import EvaluateRequest
from upscale_cli.services.evaluation_measures import find_measures, score
from upscale_cli.services.upscale_report import UpscaleRequest
from upscale_cli.weights import features

pytestmark = pytest.mark.usefixtures("one_thread")

PICTURE = skimage.data.chelsea()[100:180, 100:190]


def request(*metrics: str, protocol: Protocol = Protocol(crop_border=4)) -> EvaluateRequest:  # noqa: B008
    how = UpscaleRequest((), device="cpu", offline=True)
    return EvaluateRequest(Path(), protocol, how, metrics=metrics)


@pytest.fixture
def lpips(monkeypatch: pytest.MonkeyPatch) -> Lpips:
    """An untrained LPIPS, and the one that is loaded."""
    torch.manual_seed(0)
    network = Lpips(AlexNet(), LpipsHead()).requires_grad_(False)
    monkeypatch.setattr(features, "load_lpips", lambda **_: network)
    return network


def test_lpips_is_taken_inside_the_border_where_the_picture_fits_best(lpips: Lpips) -> None:
    protocol = Protocol(crop_border=4, shift_search=2)
    moved = np.roll(255 - PICTURE, (1, -2), (0, 1))
    measured = score(moved, 255 - PICTURE, protocol, find_measures(request("lpips", "psnr", protocol=protocol), print))
    assert measured.shift == (1, -2)
    assert measured.values == {"lpips": 0.0, "psnr": float("inf")}
    darker = (PICTURE // 2).astype(np.uint8)
    found = score(darker, PICTURE, Protocol(crop_border=4), find_measures(request("lpips"), print)).values["lpips"]
    inside = [to_tensor(pixels[4:-4, 4:-4]) for pixels in (darker, PICTURE)]
    assert found == pytest.approx(lpips(*inside).item(), rel=1e-6)


def test_lpips_on_pictures_that_are_too_small(lpips: Lpips) -> None:
    with pytest.raises(ValueError, match="LPIPS needs at least 31 pixels"):
        score(PICTURE[:36], PICTURE[:36], Protocol(crop_border=4), find_measures(request("lpips"), print))


def test_alexnet_is_asked_for_only_by_lpips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path))
    assert list(find_measures(request("ssim", "psnr"), print)) == ["ssim", "psnr"]
    with pytest.raises(WeightsError, match="alexnet"):
        find_measures(request("lpips"), print)
