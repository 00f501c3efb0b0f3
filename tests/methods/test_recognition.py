"""Files that say nothing of themselves: which method and which sizes their tensors tell of."""

import pytest
import torch

from upscale_cli.errors import WeightsError
from upscale_cli.methods import load_method
from upscale_cli.methods.recognition import recognise, require_fit

RCAN = {"scale": 2, "groups": 1, "blocks": 2, "features": 8, "reduction": 4}


def _state(method: str, options: dict) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape) for name, shape in load_method(method).expected_tensors(options).items()}


@pytest.mark.parametrize(("method", "options"), [
    ("rwsr", RCAN),
    ("srrescycgan", {"features": 8, "blocks": 2}),
    ("srrescycgan", {}),
    ("cyclesr", {"network": "srresnet", "scale": 2, "features": 8, "blocks": 3}),
    ("cyclesr", {"network": "vdsr", "scale": 3, "features": 8, "blocks": 2}),
    ("cyclesr", {}),
])  # fmt: skip
def test_tensors_tell_method_and_sizes(method, options):
    assert recognise(_state(method, options)) == (method, options)


def test_other_tensors_tell_nothing():
    assert recognise({"conv_first.weight": torch.zeros(64, 3, 3, 3)}) is None


def test_another_size_is_named():
    with pytest.raises(WeightsError, match=r"x\.pth: is a rwsr network of another size") as caught:
        require_fit(_state("rwsr", RCAN), "rwsr", RCAN | {"scale": 4, "blocks": 20}, "x.pth")
    assert "scale 2 instead of 4, blocks 2 instead of 20" in caught.value.message
    assert "groups" not in caught.value.message
    require_fit(_state("rwsr", RCAN), "rwsr", RCAN, "x.pth")


def test_a_file_of_another_method_is_refused_by_its_tensors():
    with pytest.raises(WeightsError, match=r"tensors do not fit: .* missing"):
        require_fit(_state("rwsr", RCAN), "srrescycgan", {}, "x.pth")
