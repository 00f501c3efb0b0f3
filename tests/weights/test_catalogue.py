"""The catalogue: the program's own, the user's models and mirrors, imported ones; names that are safe everywhere."""

import json
from pathlib import Path

import pytest

from upscale_cli.errors import UsageError, WeightsError
from upscale_cli.methods import ROOMS
from upscale_cli.weights import places
from upscale_cli.weights.catalogue import load_catalogue
from upscale_cli.weights.entry import Entry, FeatureNetwork

SHA = "ab" * 32
OWN = f'[models.mine]\nmethod = "srrescycgan"\nscale = 4\nurls = ["https://a.example/m"]\nsha256 = "{SHA}"\n'


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No catalogue of the machine's user plays a part."""
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("UPSCALE_WEIGHTS", raising=False)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def use(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        monkeypatch.setenv("UPSCALE_WEIGHTS", str(path))
        return path

    return use


def test_the_program_s_own_entries_are_complete() -> None:
    catalogue = load_catalogue()
    official = {"srrescycgan-noise", "srrescycgan-jpeg", "srrescycgan-unknown", "srrescycgan-aim", "srrescgan"}
    assert official <= set(catalogue.entries)
    for entry in catalogue.entries.values():
        if isinstance(entry, Entry):
            assert entry.method in ROOMS
        assert all((entry.licence, entry.source, entry.description, entry.trained_on))
        if entry.file is not None:
            assert (places.bundled_folder() / entry.file).is_file()
    assert catalogue.find("srrescgan").bytes == 1_529_586


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown model 'srrescycgan-ami'.*srrescycgan-aim"):
        load_catalogue().find("srrescycgan-ami")
    with pytest.raises(UsageError, match="models list"):
        load_catalogue().find("???")


def test_a_feature_network_is_listed_and_upscales_nothing() -> None:
    catalogue = load_catalogue()
    vgg = catalogue.find("vgg19")
    assert isinstance(vgg, FeatureNetwork)
    assert (vgg.known_sha256, vgg.bytes) == ("dcbb9e9d", 574_673_361)
    assert "vgg19" not in catalogue.upscalers
    assert "srrescgan" in catalogue.upscalers
    with pytest.raises(UsageError, match=r"vgg19: is a feature network.*upscales nothing.*models list"):
        catalogue.upscaler("vgg19")


def test_a_feature_network_may_have_mirrors_and_be_no_default(write) -> None:
    write('[models.vgg19]\nurls = ["https://mirror.example/vgg.pth"]\n')
    vgg = load_catalogue().find("vgg19")
    assert vgg.urls[0] == "https://mirror.example/vgg.pth"
    assert isinstance(vgg, FeatureNetwork)
    assert vgg.sha256_prefix == "dcbb9e9d"
    path = write('default = "vgg19"\n')
    with pytest.raises(UsageError, match=r"default: 'vgg19' is a feature network and upscales nothing") as caught:
        load_catalogue()
    assert str(path) in str(caught.value)


def test_mirrors_come_first_and_change_nothing_else(write) -> None:
    before = load_catalogue().find("srrescgan")
    write('[models.srrescgan]\nurls = ["https://mirror.example/m.pth", "gdrive:abc"]\n')
    after = load_catalogue().find("srrescgan")
    assert after.urls == ("https://mirror.example/m.pth", "gdrive:abc", *before.urls)
    assert after.model_copy(update={"urls": before.urls}) == before


def test_users_add_models_and_choose_the_default(write, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "upscale-cli"
    folder.mkdir(parents=True)
    (folder / "weights.toml").write_text('default = "mine"\n' + OWN)
    assert load_catalogue().default == "mine"
    write(OWN.replace("a.example", "b.example"))  # the file that UPSCALE_WEIGHTS names wins over the standing one
    assert load_catalogue().find("mine").urls == ("https://b.example/m",)
    assert list(load_catalogue().entries)[-1] == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[models.srrescgan]\nsha256 = "{SHA}"\n', "comes with the program and cannot be replaced"),
        (OWN.replace("mine", "srrescgan"), "comes with the program and cannot be replaced"),
        (OWN.replace("mine", "SRResCGAN"), "by case alone"),
        (OWN.replace("https:", "http:"), "https://host/path or gdrive"),
        (OWN.replace("https:", "file:"), "https://host/path or gdrive"),
        (OWN.replace("https://a", "https://user:secret@a"), "https://host/path or gdrive"),
        (OWN.replace("https://a.example/m", "gdrive:../x"), "https://host/path or gdrive"),
        (OWN.replace("a.example", "[::1"), "https://host/path or gdrive"),
        (OWN.replace("a.example", "a.example:99999"), "https://host/path or gdrive"),
        ('[models.srrescgan]\nurls = ["http://a.example/m"]\n', "https://host/path or gdrive"),
        (OWN.replace(SHA, "ab"), "sha256"),
        (OWN + 'sha256_prefix = "abababab"\n', "give sha256 alone"),
        (OWN.replace("sha256", "sha256_prefix").replace(SHA, "abababa"), "sha256_prefix"),
        (OWN + 'role = "features"\n', "unknown key 'method'"),
        (OWN + 'role = "feature"\n', "role"),
        (OWN.replace("sha256", "sha265"), "unknown key 'sha265', did you mean 'sha256'"),
        (OWN + "bytes = 0\n", "bytes"),
        (OWN + 'file = "../m.safetensors"\n', "file"),
        ('[models.mine]\nmethod = "x"\nscale = 4\nfile = "m"\n', "sha256 may be absent only"),
        ("[models.mine\n", "not valid TOML"),
        ("[model.mine]\n", "unknown key 'model', did you mean 'models'"),
    ],
)
def test_faults_are_named_with_their_file(write, text: str, words: str) -> None:
    path = write(text)
    with pytest.raises(UsageError, match=words) as caught:
        load_catalogue()
    assert str(path) in str(caught.value)


PAIR = OWN + 'partner = "other"\n' + OWN.replace("mine", "other")


def test_a_model_may_name_the_second_network_of_its_pair(write) -> None:
    write(PAIR)
    catalogue = load_catalogue()
    assert (catalogue.upscaler("mine").partner, catalogue.upscaler("other").partner) == ("other", None)
    write(OWN + 'partner = "srrescgan"\n')
    assert load_catalogue().upscaler("mine").partner == "srrescgan"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN + 'partner = "othre"\n', "'othre' is not a model that upscales"),
        (OWN + 'partner = "vgg19"\n', "'vgg19' is not a model that upscales"),
        (OWN + 'partner = "mine"\n', "'mine' is the model itself"),
        (OWN + 'partner = "../x"\n', "partner"),
        (PAIR.replace("scale = 4", "scale = 2", 1), "mine and other cannot be fused: scale 2 and 4"),
        (PAIR.replace("srrescycgan", "rwsr", 1), "mine and other cannot be fused: method rwsr and srrescycgan"),
        (PAIR + "options = { blocks = 9 }\n", "mine and other cannot be fused: options {} and {'blocks': 9}"),
        ('[models.vgg]\nrole = "features"\nurls = ["https://a.example/m"]\npartner = "srrescgan"\n', "partner"),
    ],
)
def test_a_partner_that_cannot_be_one(write, text: str, words: str) -> None:
    path = write(text)
    with pytest.raises(UsageError) as caught:
        load_catalogue()
    assert words in str(caught.value)
    assert f"{path}: models." in str(caught.value)
    assert "partner" in str(caught.value)


def test_a_catalogue_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_WEIGHTS", "/nowhere/w.toml")
    with pytest.raises(UsageError, match=r"/nowhere/w\.toml: cannot be read"):
        load_catalogue()


@pytest.mark.parametrize("name", ["", "../m", "C:\\m", "con.pth", "a\nb", "é"])
def test_hostile_names_are_refused(write, name: str) -> None:
    write(OWN.replace("models.mine", f"models.{json.dumps(name)}"))
    with pytest.raises(UsageError):
        load_catalogue()


def test_a_damaged_import_is_no_other_models_concern(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.entry.json").write_bytes(b'{"name": "\xff')
    catalogue = load_catalogue()
    assert catalogue.upscaler(catalogue.default)
    assert "mine" not in catalogue.entries
    with pytest.raises(WeightsError, match=r"mine\.entry\.json: is damaged"):
        catalogue.find("mine")


def test_an_import_is_a_model_only_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    record = json.dumps({"name": "mine", "method": "x", "scale": 4, "sha256": SHA})
    for name in ("mine", "other", "srrescgan"):
        (tmp_path / "cache" / f"{name}.entry.json").write_text(record)
    catalogue = load_catalogue()
    assert catalogue.imported == {"mine"}
    assert "other" not in catalogue.entries


def test_auto_asks_the_users_models_first_and_is_the_default(write) -> None:
    write(OWN + "auto = { noise = [2, 9.5], jpeg = [1, 60] }\n")
    catalogue = load_catalogue()
    assert [entry.name for entry in catalogue.automatic] == ["mine", "rwsr-jpeg", "rwsr"]
    write(OWN + "auto = {}\n" + '[models.rwsr]\nurls = ["https://mirror.example/m"]\n')
    asked = [entry.name for entry in load_catalogue().automatic]
    assert asked == ["mine", "rwsr-jpeg", "rwsr"], "a mirror makes a model not the user's"
    assert (catalogue.by_picture, catalogue.default) == (True, "rwsr")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (OWN + "auto = { noise = [9, 2] }", "the lower bound comes first"),
        (OWN + "auto = { jpeg = [0, 60] }", "jpeg"),
        (OWN + "auto = { jpg = [1, 60] }", "unknown key 'auto.jpg'"),
        (OWN.replace("scale = 4", "scale = 2") + "auto = {}", "one scale for all that auto chooses from"),
        (OWN.replace("mine", "auto"), "is no model's name"),
        (OWN.replace("mine", "Auto"), "is no model's name"),
    ],
)
def test_rules_that_cannot_be(write, text: str, fault: str) -> None:
    write(text)
    with pytest.raises(UsageError) as error:
        load_catalogue()
    assert fault in str(error.value)


def test_auto_is_no_single_model() -> None:
    with pytest.raises(UsageError, match="auto: chooses for each picture"):
        load_catalogue().upscaler("auto")
