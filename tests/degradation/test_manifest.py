"""The manifest: written whole, in the order of names, and nothing else is taken for one."""

import json
from pathlib import Path

import pytest

from upscale_cli.degradation.manifest import read_manifest, write_manifest
from upscale_cli.errors import PictureError, UsageError


def test_it_comes_back_sorted(tmp_path: Path):
    assert read_manifest(tmp_path) == {}
    records = {name: {"output": name, "scale": 4, "source": "\udc80"} for name in ("b.png", "a.png")}
    write_manifest(tmp_path, records)
    assert read_manifest(tmp_path) == records
    lines = (tmp_path / "manifest.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line)["output"] for line in lines] == ["a.png", "b.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "x",
        '{"seed": 1}',
        '{"input": "a", "output": "b"}',
        '{"source": "a", "output": 1, "scale": 4}',
        "[" * 9999,
        '{"output": "a.png"}\n{"outp',
        "\xe9",
    ],
)
def test_another_file_of_this_name_is_refused(tmp_path: Path, text: str):
    (tmp_path / "manifest.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"manifest\.jsonl"):
        read_manifest(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(PictureError, match=r"manifest\.jsonl: cannot be written"):
        write_manifest(tmp_path / "none", {})
