"""Partners are found by name; a request that cannot be right is refused before the first picture."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from phone_pictures import save_pair, scene
from upscale_cli.errors import UsageError
from upscale_cli.services.phone_pairs import PairRequest, find_pairs, key_of, low_path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """phone/a.jpg, phone/sub/a.jpg, and their references."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "sub/a"):
        save_pair(name, scene(), scene())
    return tmp_path


def _request(**options: Any) -> PairRequest:
    return PairRequest(**{"phone": "phone", "reference": "dslr", "output": "mobile", **options})


def test_partners_lie_at_the_same_place_below_their_folders(here: Path):
    pairs = find_pairs(_request(recursive=True))
    assert [(str(t.source.path), str(t.path), t.fault) for t in pairs.targets] == [
        ("phone/a.jpg", "mobile/hr/a.png", None),
        ("phone/sub/a.jpg", "mobile/hr/sub/a.png", None),
    ]
    assert [str(pairs.references[key_of(target.source)].path) for target in pairs.targets] == [
        "dslr/a.png",
        "dslr/sub/a.png",
    ]
    assert low_path(Path("mobile/hr/sub/a.png"), "mobile/") == Path("mobile/lr/sub/a.png")


def test_folders_below_count_only_when_asked_for(here: Path):
    assert len(find_pairs(_request()).targets) == 1


def test_who_has_no_partner_has_a_fault_and_no_more(here: Path):
    Path("dslr/sub/a.png").rename("dslr/b.png")
    pairs = find_pairs(_request(recursive=True))
    faults = {str(target.source.path): target.fault and target.fault.message for target in pairs.targets}
    assert faults == {
        "phone/a.jpg": None,
        "phone/sub/a.jpg": "phone/sub/a.jpg: has no partner in dslr",
        "dslr/b.png": "dslr/b.png: has no partner in phone",
    }


def test_two_of_one_name_are_refused(here: Path):
    Image.fromarray(scene()).save("dslr/a.bmp")
    with pytest.raises(UsageError, match="dslr: several pictures are called a"):
        find_pairs(_request())


def test_folders_without_a_common_name_are_refused_at_once(here: Path):
    Path("dslr/a.png").rename("dslr/b.png")
    with pytest.raises(UsageError, match="phone and dslr have no name in common"):
        find_pairs(_request())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phone": "none"}, "--lr none: there is no such folder"),
        ({"reference": "phone/a.jpg"}, "--reference phone/a.jpg: there is no such folder"),
        ({"phone": "mobile/lr", "reference": "mobile/hr"}, "-o mobile: mobile/lr/a.jpg is there itself"),
        ({"reference": "mobile/hr"}, "-o mobile: mobile/hr/a.png is there itself"),
    ],
)
def test_folders_that_cannot_be(here: Path, options: dict[str, Any], words: str):
    for folder, part in (("phone", "lr"), ("dslr", "hr")):
        shutil.copytree(folder, Path("mobile", part))
    with pytest.raises(UsageError, match=words):
        find_pairs(_request(**options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"way": "T5"}, "--pairs T5: is none of T1, T2, T3, T4"),
        ({"way": "T1", "model": "m"}, "--sr-model m: T1 has no model"),
        ({"max_shift": -1.0}, "--max-shift -1: is outside 0 to 15"),
        ({"max_shift": float("nan")}, "--max-shift nan"),
        ({"output": "-"}, "-o -: is not a folder"),
        ({"output": "{stem}"}, "is not a folder"),
    ],
)
def test_values_that_cannot_be(options: dict[str, Any], words: str):
    with pytest.raises(UsageError, match=words):
        _request(**options).check()
