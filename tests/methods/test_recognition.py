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
    ("srrescycgan", {"features": 8, "blocks": 2, "context_blocks": 0}),
    ("srrescycgan", {"features": 8, "blocks": 2, "context_blocks": 3}),
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
        require_fit(_state("rwsr", RCAN), "rwsr", RCAN | {"scale": 4, "blocks": 20}, "x.pth", scale=4)
    assert "scale 2 instead of 4, blocks 2 instead of 20" in caught.value.message
    assert "groups" not in caught.value.message
    with pytest.raises(WeightsError, match="groups 1 instead of 10"):  # which the options leave out
        require_fit(_state("rwsr", RCAN), "rwsr", {k: v for k, v in RCAN.items() if k != "groups"}, "x.pth", scale=2)
    require_fit(_state("rwsr", RCAN), "rwsr", RCAN, "x.pth", scale=2)


@pytest.mark.parametrize(("method", "options", "scale"), [
    ("rwsr", RCAN, 2),
    ("srrescycgan", {"features": 8, "blocks": 2}, 4),
    ("cyclesr", {"network": "vdsr", "scale": 3, "features": 8, "blocks": 2}, 3),
    ("dualsr", {"features": 8, "passes": 2}, 4),
])  # fmt: skip
def test_another_scale_than_the_networks_is_refused(method, options, scale):
    state = _state(method, options)
    require_fit(state, method, options, "x.pth", scale=scale)
    with pytest.raises(WeightsError, match=rf"x\.pth: is said to enlarge x8, and enlarges x{scale}"):
        require_fit(state, method, options, "x.pth", scale=8)


@pytest.mark.parametrize("more", [{}, {"more.weight": torch.zeros(1)}], ids=["recognised", "not recognised"])
@pytest.mark.parametrize("key", ["groups", "blocks", "features"])
def test_a_small_file_that_claims_a_huge_network_is_refused_before_that_is_built(key, more):
    with pytest.raises(WeightsError, match=r"x\.pth: is a rwsr network of another size"):
        require_fit(_state("rwsr", RCAN) | more, "rwsr", RCAN | {key: 10**9}, "x.pth", scale=2)


@pytest.mark.parametrize("more", [{}, {"more.weight": torch.zeros(1)}], ids=["recognised", "not recognised"])
def test_a_small_file_that_claims_many_context_blocks_is_refused_before_they_are_built(more):
    state = _state("srrescycgan", {"features": 8, "blocks": 2}) | more
    options = {"features": 8, "blocks": 2, "context_blocks": 10**9}
    with pytest.raises(WeightsError, match=r"x\.pth: is a srrescycgan network of another size"):
        require_fit(state, "srrescycgan", options, "x.pth", scale=4)


def test_names_that_claim_a_huge_network_tell_nothing():
    state = _state("rwsr", RCAN) | {f"body.{10**9}.body.0.body.0.weight": torch.zeros(1)}
    assert recognise(state) is None


def test_a_file_of_another_method_is_refused_by_its_tensors():
    with pytest.raises(WeightsError, match=r"tensors do not fit: .* missing"):
        require_fit(_state("rwsr", RCAN), "srrescycgan", {}, "x.pth", scale=4)
