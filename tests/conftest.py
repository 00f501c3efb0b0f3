"""What several rooms' tests need."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from upscale_cli.methods.srrescycgan.checkpoint import expected_tensors
from upscale_cli.methods.srrescycgan.config import GeneratorSettings
from upscale_cli.methods.srrescycgan.generator import Generator
from upscale_cli.weights.checkpoint import write_safetensors

SMALL_OPTIONS = {"features": 4, "blocks": 1, "noise_estimate": "robust"}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread: pictures as small as the tests' are quicker so, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small untrained network, as training would export it: it runs, and quickly."""
    return _exported(tmp_path_factory.mktemp("model") / "small.safetensors", seed=0)


@pytest.fixture(scope="session")
def second_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one of the same form, with which the first can be fused."""
    return _exported(tmp_path_factory.mktemp("model") / "second.safetensors", seed=1)


def _exported(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    state = Generator(GeneratorSettings.model_validate(SMALL_OPTIONS)).state_dict()
    assert state.keys() == expected_tensors(SMALL_OPTIONS).keys()
    write_safetensors(state, path, {"method": "srrescycgan", "scale": "4", "options": json.dumps(SMALL_OPTIONS)})
    return path
