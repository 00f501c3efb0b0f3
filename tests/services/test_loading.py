"""Which model a name means, and what a file says of itself."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.methods import load_method
from upscale_cli.services.fusion_report import FusionRequest
from upscale_cli.services.loading import describe_model, describe_pair, find_model, find_partner, load_model, load_pair
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.places import bundled_folder


def test_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    assert isinstance(find_model("srrescgan"), Entry)
    (tmp_path / "srrescgan").touch()
    with pytest.raises(UsageError, match="vgg19: is a feature network"):
        find_model("vgg19")
    assert isinstance(find_model("srrescgan"), Entry), "a name of the catalogue is never a file"
    (tmp_path / "mine").touch()
    assert find_model("mine") == Path("mine")
    for missing in ("gone.pth", "no/such", "folder/"):
        with pytest.raises(UsageError, match="there is no such file"):
            find_model(missing)
    with pytest.raises(UsageError, match="did you mean srrescgan"):
        find_model("srresgan")


def test_a_file_describes_itself_without_torch(small_model: Path) -> None:
    model = describe_model(small_model)
    assert (model.name, model.method, model.scale) == ("small", "srrescycgan", 4)
    assert model.options["features"] == 4
    assert model.state is None
    loaded = load_model(small_model, offline=True)
    assert loaded.sha256 == model.sha256
    assert loaded.state

    script = f"""
import sys
from pathlib import Path
from upscale_cli.services.loading import describe_model
describe_model(Path({str(small_model)!r}))
assert 'torch' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_file_that_leaves_its_scale_out_has_its_networks(tmp_path: Path) -> None:
    save_file(
        load_file(bundled_folder() / "dualsr-start.safetensors"), tmp_path / "a.safetensors", {"method": "dualsr"}
    )
    assert describe_model(tmp_path / "a.safetensors").scale == 2


@pytest.mark.parametrize(
    "metadata",
    [{"method": "other"}, {"scale": "four"}, {"scale": "0"}, {"options": "{"}, {"options": "[]"}],
)  # fmt: skip
def test_metadata_that_are_not_ours(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"method": "srrescycgan"} | metadata)
    with pytest.raises(WeightsError, match=r"a\.safetensors: its metadata"):
        describe_model(path)


def test_the_second_network_of_a_pair(small_model: Path, second_model: Path) -> None:
    alone = find_model("srrescgan")
    assert isinstance(alone, Entry)
    paired = alone.model_copy(update={"partner": "srrescycgan-aim"})
    assert find_partner(alone, FusionRequest()) is None
    assert find_partner(paired, FusionRequest()) == find_model("srrescycgan-aim")
    assert find_partner(paired, FusionRequest(False)) is None
    assert find_partner(paired, FusionRequest(partner=str(second_model))) == second_model
    with pytest.raises(UsageError, match="--fuse: srrescgan has no second network"):
        find_partner(alone, FusionRequest(True))
    with pytest.raises(UsageError, match="--fuse-gamma: small has no second network"):
        find_partner(small_model, FusionRequest(gamma=64))
    pair = load_pair(small_model, second_model, offline=True)
    assert pair.partner is not None
    assert (pair.name, pair.partner.name, pair.partner.partner) == ("small", "second", None)
    assert pair.state
    assert pair.partner.state
    assert describe_pair(small_model, second_model).partner == replace(pair.partner, state=None)


def test_options_told_in_full_or_in_part_make_a_pair(small_model: Path, tmp_path: Path) -> None:
    """As a file that says nothing and is known by its tensors, and one that says what differs from the defaults."""
    state = load_file(small_model)
    for name, options in (
        ("full", {"features": 4, "blocks": 1, "noise_estimate": "upsampled"}),
        ("wide", {"blocks": 2}),
    ):
        save_file(state, tmp_path / f"{name}.safetensors", {"method": "srrescycgan", "options": json.dumps(options)})
    assert describe_pair(small_model, tmp_path / "full.safetensors").partner is not None
    with pytest.raises(UsageError, match=r"small and wide cannot be fused: options \{.features.: 4, "):
        describe_pair(small_model, tmp_path / "wide.safetensors")


def test_a_file_that_lacks_a_tensor_is_held_against_the_network_it_is_nearest_to(tmp_path: Path) -> None:
    state = {name: torch.rand(shape) for name, shape in load_method("cyclesr").expected_tensors({}).items()}
    missing = sorted(state)[0]
    del state[missing]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=rf"cut\.pth.*: tensors do not fit: 1 missing: {missing} \("):
        load_model(tmp_path / "cut.pth", offline=True)


def test_unknown_options_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"method": "srrescycgan", "options": json.dumps({"featuers": 4})})
    with pytest.raises(UsageError, match="did you mean 'features'"):
        load_model(path, offline=True)


def test_a_file_that_says_nothing_is_told_by_its_tensors(tmp_path: Path) -> None:
    """As RCAN's official checkpoints; the scale, too, is the tensors'."""
    options = {"scale": 2, "groups": 1, "blocks": 1, "features": 4, "reduction": 2}
    path = tmp_path / "RCAN_x2.pth"
    state = {name: torch.rand(shape) for name, shape in load_method("rwsr").expected_tensors(options).items()}
    torch.save(state, path)
    model = load_model(path, offline=True)
    assert (model.method, model.scale, model.options) == ("rwsr", 2, options)


def test_a_trained_model_has_the_scale_of_its_options(tmp_path: Path) -> None:
    options = {"scale": 3, "groups": 1, "blocks": 1, "features": 4, "reduction": 2}
    path = tmp_path / "mine.safetensors"
    state = {name: torch.rand(shape) for name, shape in load_method("rwsr").expected_tensors(options).items()}
    save_file(state, path, {"method": "rwsr", "options": json.dumps(options)})
    assert describe_model(path).scale == 3
