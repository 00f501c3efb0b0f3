"""Feature networks: fetched once, held to the digits that are known of their sha256, and loaded as published."""

import hashlib
from pathlib import Path

import pytest
import torch
from loopback import FileAnswer, downloader_to, serving
from published_weights import made_up, save_as_torch_0_1

from upscale_cli.errors import WeightsError
from upscale_cli.networks.alexnet import AlexNet
from upscale_cli.weights import features
from upscale_cli.weights.catalogue import Catalogue, load_catalogue
from upscale_cli.weights.checkpoint import read_state_dict
from upscale_cli.weights.entry import FeatureNetwork
from upscale_cli.weights.features import load_lpips, load_vgg19
from upscale_cli.weights.store import Store

DATA = bytes(range(256)) * 999
SHA = hashlib.sha256(DATA).hexdigest()


def network(**changes: object) -> FeatureNetwork:
    table = {"name": "net", "role": "features", "urls": ("https://a.example/net.pth",), "sha256_prefix": SHA[:8]}
    return FeatureNetwork.model_validate(table | {"bytes": len(DATA)} | changes)


def test_a_download_must_begin_with_the_published_digits_and_is_pinned(tmp_path: Path) -> None:
    with serving(FileAnswer(DATA)) as web:
        store = Store(tmp_path, downloader_to(web.port))
        with pytest.raises(WeightsError, match=r"net: .*expected sha256 0badc0de\.\.\., got " + SHA):
            store.obtain(network(sha256_prefix="0badc0de"), offline=False)
        assert not list(tmp_path.glob("*.weights"))
        fetched = store.obtain(network(), offline=False)
        assert (fetched.sha256, fetched.pinned) == (SHA, True)
        requests = len(web.log)
        assert not store.obtain(network(), offline=False).pinned  # known in whole from now on
        assert len(web.log) == requests


def test_a_killed_download_of_known_digits_goes_on(tmp_path: Path) -> None:
    with serving(FileAnswer(DATA, cut=100_000)) as web:
        store = Store(tmp_path, downloader_to(web.port))
        assert store.obtain(network(), offline=False).sha256 == SHA
        assert web.sent < 1.5 * len(DATA)


def test_a_file_put_there_by_hand_is_held_to_the_digits(tmp_path: Path) -> None:
    (tmp_path / "net.weights").write_bytes(DATA[1:])
    with pytest.raises(WeightsError, match=r"net\.weights: is damaged: expected sha256 " + SHA[:8]):
        Store(tmp_path).obtain(network(), offline=True)
    (tmp_path / "net.weights").write_bytes(DATA)
    assert Store(tmp_path).obtain(network(), offline=True).sha256 == SHA


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"begins with dcbb9e9d; or, with a network, 'upscale models pull vgg19'"):
        load_vgg19(offline=True, store=Store(tmp_path))


@pytest.fixture
def alexnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with made-up weights of AlexNet, a classifier among them, in the old form; the catalogue knows them."""
    state = made_up(AlexNet())
    save_as_torch_0_1(state | {"classifier.1.weight": torch.ones(2, 2)}, tmp_path / "alexnet.weights")
    digest = hashlib.sha256((tmp_path / "alexnet.weights").read_bytes()).hexdigest()
    entry = network(name="alexnet", sha256_prefix=digest[:8], bytes=None)
    catalogue = Catalogue({"alexnet": entry, "lpips-alex": load_catalogue().find("lpips-alex")}, "")
    monkeypatch.setattr(features, "load_catalogue", lambda: catalogue)
    return Store(tmp_path)


def test_the_features_are_taken_and_the_classifier_left(alexnet: Store) -> None:
    state = torch.get_rng_state()
    lpips = load_lpips(offline=True, store=alexnet)
    assert torch.equal(torch.get_rng_state(), state), "loading draws no random numbers"
    loaded = lpips.trunk.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in made_up(AlexNet()).items())
    assert not any(parameter.requires_grad for parameter in lpips.parameters())
    picture = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    assert lpips(picture, picture).item() == 0
    assert lpips(picture, picture.flip(3)).item() > 1e-3


def test_a_file_without_these_features_is_named(alexnet: Store) -> None:
    state = made_up(AlexNet())
    del state["features.8.bias"]
    save_as_torch_0_1(state, alexnet.root / "alexnet.weights")
    (alexnet.root / "alexnet.pin.json").unlink(missing_ok=True)
    digest = hashlib.sha256((alexnet.root / "alexnet.weights").read_bytes()).hexdigest()
    features.load_catalogue().entries["alexnet"] = network(name="alexnet", sha256_prefix=digest[:8])
    with pytest.raises(WeightsError, match=r"alexnet .*1 missing: features\.8\.bias"):
        load_lpips(offline=True, store=alexnet)


@pytest.mark.parametrize("as_parameters", [False, True])
def test_torch_s_oldest_files_are_read(tmp_path: Path, as_parameters: bool) -> None:
    state = {"features.0.weight": torch.arange(6.0).reshape(2, 3), "features.0.bias": torch.ones(2)}
    save_as_torch_0_1(state, tmp_path / "old.pth", as_parameters=as_parameters)
    loaded, _ = read_state_dict(tmp_path / "old.pth")
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) and not loaded[name].requires_grad for name in state)
