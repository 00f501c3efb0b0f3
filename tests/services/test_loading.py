"""Which model a name means, and what a file says of itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.services.loading import describe_model, find_model, load_model
from upscale_cli.weights.catalogue import Entry


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


@pytest.mark.parametrize(
    "metadata",
    [{"method": "other"}, {"scale": "four"}, {"scale": "0"}, {"options": "{"}, {"options": "[]"}],
)  # fmt: skip
def test_metadata_that_are_not_ours(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata)
    with pytest.raises(WeightsError, match=r"a\.safetensors: its metadata"):
        describe_model(path)


def test_unknown_options_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"options": json.dumps({"featuers": 4})})
    with pytest.raises(UsageError, match="did you mean 'features'"):
        load_model(path, offline=True)
