"""A room's README maps equations to functions and tests that exist."""

import ast
import re
from pathlib import Path

import pytest

from upscale_cli import methods

ROOT = Path(__file__).parents[2]
SOURCE = Path(methods.__file__).parents[1]
ROOMS = {name: SOURCE / "methods" / name for name in methods.ROOMS}


def _defined(folder: Path) -> set[str]:
    """Functions and classes of a folder, methods as Class.method too."""
    names = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.ClassDef):
                names |= {f"{node.name}.{member.name}" for member in node.body if isinstance(member, ast.FunctionDef)}
    return names


def _rows(name: str) -> list[str]:
    text = (ROOMS[name] / "README.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("|") and re.search(r"Eq\. \(\d+", line)]


@pytest.mark.parametrize("name", ROOMS)
def test_every_equation_names_a_function_that_exists(name):
    rows = _rows(name)
    assert rows
    defined = _defined(ROOMS[name]).union(*(_defined(SOURCE / layer) for layer in ("losses", "networks", "inference")))
    lost = [row for row in rows if not defined & set(re.findall(r"`([\w.]+)(?:\(.*?\))?`", row))]
    assert lost == []


@pytest.mark.parametrize("name", ROOMS)
def test_every_test_that_is_named_exists(name):
    text = (ROOMS[name] / "README.md").read_text(encoding="utf-8")
    for path, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text):
        assert (ROOT / path).is_file(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"
