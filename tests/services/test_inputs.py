"""Names -> pictures: order, doubles, hidden files, links."""

from pathlib import Path

import pytest

from upscale_cli.errors import UsageError
from upscale_cli.services.inputs import collect_inputs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.tiff", "sub/d.gif", ".thumbs/e.png", "x[1].png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(*arguments: str, recursive: bool = False) -> list[str]:
    return [item.name for item in collect_inputs(arguments, recursive=recursive)]


def test_folders_are_sorted_and_hidden_files_left_out(here: Path) -> None:
    assert names(".") == ["a.JPG", "b.png", "x[1].png"]
    assert names(".", recursive=True) == ["a.JPG", "b.png", "x[1].png", "sub/c.tiff", "sub/d.gif"]
    assert [str(item.below) for item in collect_inputs(["."], recursive=True)][-1] == "sub"
    assert names(".hidden.png") == [".hidden.png"], "named it is meant"


def test_each_picture_once_in_the_order_named(here: Path) -> None:
    assert names("b.png", "a.JPG", "./b.png", str(here / "a.JPG"), "sub/../b.png") == ["b.png", "a.JPG"]
    assert names("b.png", ".") == ["b.png", "a.JPG", "x[1].png"]
    assert names("-", "b.png", "-") == ["standard input", "b.png"]


def test_globs(here: Path) -> None:
    assert names("*.png") == ["b.png", "x[1].png"]
    assert names("**/*.tiff") == ["sub/c.tiff"]
    assert names("su*") == ["sub/c.tiff", "sub/d.gif"], "a folder that a pattern matches"
    assert names("x[1].png") == ["x[1].png"], "a file of that name comes before a pattern"
    with pytest.raises(UsageError, match=r"\*\.webp: matches nothing"):
        names("*.webp")


def test_what_is_not_there_stays_named(here: Path) -> None:
    assert names("gone.png", "y" * 5000) == ["gone.png", "y" * 5000]


def test_links_are_pictures_of_their_own(here: Path) -> None:
    (here / "link.png").symlink_to("b.png")
    (here / "loop").symlink_to(".")
    assert names(".", recursive=True)[2] == "link.png"
    assert names("loop", "b.png") == ["loop/a.JPG", "loop/b.png", "loop/link.png", "loop/x[1].png"]


def test_nothing_to_do(here: Path) -> None:
    (here / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures in empty"):
        names("empty", recursive=True)
