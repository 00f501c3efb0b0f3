"""`upscale models ...` as a user types it: real files, the real catalogue, no network."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from upscale_cli.cli.models import models_app
from upscale_cli.errors import UpscaleError, UsageError, WeightsError
from upscale_cli.methods import load_method

OFFICIAL = Path(__file__).parents[2].parent / "shared/golden/srrescgan/srrescgan_model.pth"
SMALL = {"features": 4, "blocks": 1, "context_blocks": 0}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("UPSCALE_WEIGHTS", raising=False)
    monkeypatch.setenv("UPSCALE_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small network's weights, as its training would leave them."""
    shapes = load_method("srrescycgan").expected_tensors(SMALL)
    torch.save({name: torch.rand(shape) for name, shape in shapes.items()}, tmp_path / "small.pth")
    return tmp_path / "small.pth"


OPTIONS = [part for key, value in SMALL.items() for part in ("--option", f"{key}={value}")]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(models_app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def records(text: str) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in map(json.loads, text.splitlines())}


def test_list_shows_every_model(cache: Path) -> None:
    listed = records(run("list", "--json"))
    assert listed["srrescycgan-aim"]["where"] == "not downloaded"
    assert listed["srrescgan"]["licence"] == "MIT"
    plain = {line.split("\t")[0]: line.split("\t") for line in run("list").splitlines()}
    assert plain.keys() == listed.keys()
    assert plain["srrescgan"][1:4] == ["x4", "1.5 MB", "not downloaded"]


def test_feature_networks_are_listed_apart_from_upscalers(cache: Path) -> None:
    listed = records(run("list", "--json"))
    assert (listed["vgg19"]["role"], listed["srrescgan"]["role"]) == ("features", "upscaler")
    plain = {line.split("\t")[0]: line.split("\t") for line in run("list").splitlines()}
    assert plain["vgg19"][1:5] == ["-", "574.7 MB", "not downloaded", "BSD-3-Clause"]
    assert plain["lpips-alex"][2:4] == ["5.1 kB", "bundled"]
    assert "sha256 prefix dcbb9e9d" in run("info", "vgg19")
    assert run("path", "lpips-alex").strip().endswith(".safetensors")
    with pytest.raises(WeightsError, match=r"vgg19: .*offline.*begins with dcbb9e9d.*upscale models pull vgg19"):
        run("pull", "vgg19")
    with pytest.raises(WeightsError, match="vgg19: is not on this machine"):
        run("verify", "vgg19")
    assert "was not in the cache" in run("remove", "vgg19")


def test_a_file_that_is_not_the_published_one_is_not_taken_for_it(cache: Path, checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected sha256 dcbb9e9d\.\.\., got"):
        run("import", checkpoint, "--name", "vgg19")


def test_list_at_a_terminal_is_a_table(cache: Path) -> None:
    """A pseudo-terminal as stdout: columns with headings, nothing cut off."""
    command = f"{sys.executable} -c \"from upscale_cli.cli.models import models_app; models_app(['list'])\""
    terminal = ["script", "-qec", command, "/dev/null"]
    if shutil.which("script") is None:
        pytest.skip("needs script(1) for a pseudo-terminal")
    environment = os.environ | {"COLUMNS": "150", "TERM": "xterm"}
    shown = subprocess.run(terminal, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL).stdout
    shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "licence" in shown
    assert re.search(r"srrescycgan-aim +x4 +\? +not downloaded +MIT +Official SRResCycGAN for real photos", shown)


def test_list_imports_nothing_heavy(cache: Path) -> None:
    script = (
        "import sys; from upscale_cli.cli.models import models_app; models_app(['list'], standalone_mode=False);"
        "print(sorted({'torch', 'cv2', 'requests', 'urllib3', 'numpy', 'PIL'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "srrescgan" in done.stdout
    assert done.stderr.strip() == "[]"


def test_info_tells_all(cache: Path) -> None:
    text = run("info", "srrescgan")
    for word in (
        "34700e0e1d58170879ed59a902895637f5014d962a12ec1c19525b255100d0c5",
        "raw.githubusercontent.com",
        "MIT",
    ):
        assert word in text
    assert json.loads(run("info", "srrescgan", "--json"))["bytes"] == 1_529_586
    with pytest.raises(UsageError, match="did you mean srrescgan"):
        run("info", "srrescgann")


def test_an_import_becomes_a_model_until_it_is_removed(cache: Path, checkpoint: Path) -> None:
    assert "small: imported" in run("import", checkpoint, *OPTIONS)
    record = records(run("list", "--json"))["small"]
    assert (record["where"], record["method"], record["options"]) == ("imported", "srrescycgan", SMALL)
    path = Path(run("path", "small").strip())
    assert path.parent == cache
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    state, kept = torch.load(checkpoint, weights_only=True), load_file(path)
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[name], state[name]) for name in state)
    assert "small: ok" in run("verify")
    with pytest.raises(UsageError, match="imported before"):
        run("import", checkpoint, *OPTIONS)
    assert "removed" in run("remove", "small")
    assert "small" not in records(run("list", "--json"))
    assert not [entry for entry in cache.iterdir() if entry.suffix != ".lock"]


def test_an_import_needs_no_options_where_the_file_tells(cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    run("import", checkpoint, "--name", "by-tensors")
    own = tmp_path / "own.safetensors"
    about = {"method": "srrescycgan", "options": json.dumps(SMALL | {"noise_estimate": "robust"})}
    save_file(torch.load(checkpoint, weights_only=True), own, about)
    run("import", own)
    found = records(run("list", "--json"))
    assert found["by-tensors"]["options"] == SMALL
    assert found["own"]["options"] == SMALL | {"noise_estimate": "robust"}
    assert found["own"]["scale"] == 4


def test_verify_names_what_is_damaged(cache: Path, checkpoint: Path) -> None:
    for name in ("one", "two", "three"):
        run("import", checkpoint, "--name", name, *OPTIONS)
    for name in ("one", "three"):
        path = cache / f"{name}.weights"
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    result = CliRunner().invoke(models_app, ["verify", "--json"])
    assert {name: record["ok"] for name, record in records(result.stdout).items()} == {
        "rwsr-jpeg": True, "rwsr": True, "rwsr-standard": True, "rwsr-psnr": True, "srrescycgan-generic": True,
        "lpips-alex": True, "dualsr-start": True, "cyclesr": True, "cyclesrgan": True,
        "one": False, "three": False, "two": True,
    }  # fmt: skip
    assert isinstance(result.exception, WeightsError)
    assert "2 of 12 models" in str(result.exception)
    assert "one.weights: is damaged" in str(result.exception)
    with pytest.raises(WeightsError, match="srrescgan: is not on this machine"):
        run("verify", "srrescgan")


def test_an_import_from_a_name_that_is_no_text(cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.pth")
    odd.write_bytes(checkpoint.read_bytes())
    run("import", odd, "--name", "mine", *OPTIONS)
    assert "Imported from ?.pth" in run("info", "mine")


def test_a_damaged_import_is_said_and_can_be_removed(cache: Path, checkpoint: Path) -> None:
    run("import", checkpoint, "--name", "mine", *OPTIONS)
    (cache / "mine.entry.json").write_text("{")
    with pytest.raises(WeightsError, match=r"mine\.entry\.json: is damaged"):
        run("verify")
    with pytest.raises(UsageError, match="was imported before"):
        run("import", checkpoint, "--name", "mine", *OPTIONS)
    assert "removed" in run("remove", "mine")
    assert not (cache / "mine.weights").exists()


def test_a_scale_that_is_not_the_networks_is_not_imported(cache: Path, checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="is said to enlarge x8, and enlarges x4"):
        run("import", checkpoint, "--name", "mine", "--scale", 8, *OPTIONS)
    assert not (cache / "mine.weights").exists()


def test_a_damaged_import_cannot_be_pulled(cache: Path, checkpoint: Path) -> None:
    run("import", checkpoint, "--name", "one", *OPTIONS)
    (cache / "one.weights").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"is damaged.*\(upscale models remove one, then import it again\)"):
        run("verify", "one")
    (cache / "one.weights").unlink()
    for verb in ("verify", "path"):
        with pytest.raises(
            WeightsError, match=r"one: is not on this machine \(upscale models remove one, then import it again\)"
        ):
            run(verb, "one")


def test_a_cache_that_is_a_file_is_named(cache: Path) -> None:
    cache.write_text("no folder")
    with pytest.raises(WeightsError, match=r"cache: is not a folder \(choose a writable folder with UPSCALE_CACHE\)"):
        run("verify", "srrescgan")


def test_names_of_files_stay_on_one_line(cache: Path, checkpoint: Path) -> None:
    odd = checkpoint.with_name("two\nlines\x1b[2J.pth")
    odd.write_bytes(checkpoint.read_bytes())
    run("import", odd, "--name", "odd", *OPTIONS)
    for text in (run("info", "odd"), run("list")):
        assert r"two\nlines\x1b[2J.pth" in text
        assert "\x1b" not in text
    assert records(run("list", "--json"))["odd"]["description"] == "Imported from two\nlines\x1b[2J.pth"


def test_what_does_not_fit_is_not_imported(cache: Path, checkpoint: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.pth"
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    broken = tmp_path / "broken.pth"
    state = torch.load(checkpoint, weights_only=True)
    state["alpha"][0] = float("nan")
    torch.save(state, broken)
    faults: list[tuple[list[object], type[UpscaleError], str]] = [
        ([checkpoint, "--name", "srrescgan"], WeightsError, "of another size"),
        ([checkpoint, "--option", "features=64"], WeightsError, "instead of 64"),
        ([checkpoint, "--method", "rwsr"], WeightsError, "missing"),
        ([checkpoint, "--name", "../x", *OPTIONS], UsageError, "cannot be a model's name"),
        ([checkpoint, "--name", "SRResCGAN", *OPTIONS], UsageError, "by case alone"),
        ([checkpoint, "--method", "srrescycgam", *OPTIONS], UsageError, "did you mean 'srrescycgan'"),
        ([checkpoint, "--option", "features"], UsageError, "KEY=VALUE"),
        ([checkpoint, "--option", "feature=4"], UsageError, "did you mean 'features'"),
        ([broken, *OPTIONS], WeightsError, "1 not finite: alpha"),
        ([page, *OPTIONS], WeightsError, "is a web page"),
        ([tmp_path / "nowhere.pth"], WeightsError, "No such file"),
    ]
    for arguments, error, words in faults:
        with pytest.raises(error, match=words):
            run("import", *arguments)
    assert not cache.exists()


def test_pull_without_network_says_what_to_do(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"offline \(put the file from gdrive:.* at .*srrescycgan-aim\.weights"):
        run("pull", "srrescycgan-aim")
    with pytest.raises(WeightsError, match="2 of 2 models are not obtained"):
        run("pull", "srrescgan", "srrescycgan-jpeg", "--offline")
    with pytest.raises(UsageError, match="unknown model"):
        run("pull", "srrescgan", "nonsense")
    assert "was not in the cache" in run("remove", "srrescgan")
    with pytest.raises(WeightsError, match="models pull srrescgan"):
        run("path", "srrescgan")


@pytest.mark.skipif(not OFFICIAL.exists(), reason="needs the official checkpoint in ../shared/golden")
def test_the_official_file_can_be_brought_by_hand(cache: Path) -> None:
    """Under its catalogue name it is kept as it is, and is what a download would have been."""
    run("import", OFFICIAL, "--name", "srrescgan")
    assert records(run("list", "--json"))["srrescgan"]["where"] == "cached"
    assert "srrescgan: ok" in run("pull", "srrescgan")
    assert Path(run("path", "srrescgan").strip()).read_bytes() == OFFICIAL.read_bytes()
    run("import", OFFICIAL, "--name", "srrescycgan-aim")  # no published sha256: pinned
    assert "srrescycgan-aim: ok" in run("verify", "srrescycgan-aim")
    run("import", OFFICIAL)
    assert records(run("list", "--json"))["srrescgan_model"]["where"] == "imported"
