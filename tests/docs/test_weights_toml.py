"""weights.toml names what exists."""

import hashlib
import re
from pathlib import Path

import pytest

from upscale_cli.config.toml_file import read_toml
from upscale_cli.methods import load_method
from upscale_cli.weights.checkpoint import read_state_dict, require_tensors
from upscale_cli.weights.entry import Entry, FeatureNetwork
from upscale_cli.weights.places import bundled_folder, program_catalogue

CATALOGUE = read_toml(program_catalogue())
TABLES = {name: {**table, "name": name} for name, table in CATALOGUE["models"].items()}
ENTRIES = {name: Entry.model_validate(table) for name, table in TABLES.items() if "role" not in table}
FEATURES = {name: FeatureNetwork.model_validate(table) for name, table in TABLES.items() if "role" in table}
BUNDLED = {name: entry for name, entry in ENTRIES.items() if entry.file is not None}
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_names_a_method_and_options_that_exist(name):
    entry = ENTRIES[name]
    assert load_method(entry.method).expected_tensors(entry.options)
    assert entry.source.startswith("https://") or name in BUNDLED


@pytest.mark.parametrize("entry", [*ENTRIES.values(), *FEATURES.values()])
def test_an_entry_says_what_it_is(entry):
    assert entry.description
    assert entry.licence != "unknown"


@pytest.mark.parametrize("entry", [entry for entry in FEATURES.values() if entry.sha256_prefix])
def test_torchvision_puts_the_first_digits_into_the_name(entry):
    assert entry.urls
    assert all(url.endswith(f"-{entry.sha256_prefix}.pth") for url in entry.urls)


def test_auto_is_the_default_and_chooses_from_what_ships_with_the_program():
    ruled = {name for name, entry in ENTRIES.items() if entry.auto is not None}
    assert CATALOGUE["default"] == "auto"
    assert ruled
    assert ruled <= BUNDLED.keys()


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_checkpoint_is_what_its_entry_says(name):
    entry = BUNDLED[name]
    path = bundled_folder() / str(entry.file)
    content = path.read_bytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry.sha256, entry.bytes)
    state, _ = read_state_dict(path)
    require_tensors(state, load_method(entry.method).expected_tensors(entry.options), name)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_checkpoint_has_its_recipe(name):
    entry = BUNDLED[name]
    recipe = read_toml(CONFIGS.parent / entry.source)
    other = recipe.get("second_stage")  # of another method than the one that trains it
    method, options = (recipe["method"], recipe["generator"]) if other is None else (other["method"], other["options"])
    assert method == entry.method
    assert options.items() >= entry.options.items()


def test_every_file_that_ships_is_listed():
    shipped = {path.name for path in bundled_folder().glob("*") if re.search(r"\.(safetensors|pth|pt)$", path.name)}
    assert shipped == {entry.file for entry in (ENTRIES | FEATURES).values() if entry.file is not None}


def test_a_bundled_file_of_others_has_its_licence_beside_it():
    others = {name: entry for name, entry in FEATURES.items() if entry.file is not None}
    assert others
    for entry in others.values():
        content = (bundled_folder() / entry.file).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry.sha256, entry.bytes)
        assert "Copyright" in (bundled_folder() / entry.file).with_suffix(".LICENSE").read_text()
