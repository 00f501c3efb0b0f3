"""The README says what the program does today."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from upscale_cli.cli.app import app
from upscale_cli.errors import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _verbs(command: Any, path: str = "upscale") -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {path: command}
    return {p: c for name, verb in command.commands.items() for p, c in _verbs(verb, f"{path} {name}").items()}


VERBS = _verbs(typer.main.get_command(app))


def _typed() -> list[str]:
    """Every `upscale ...` line of the README's blocks, as one would type it."""
    blocks = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line[line.index("upscale ") :] for line in lines if re.match(r"(cat \S+ \| )?upscale ", line)]


@pytest.mark.parametrize("path", VERBS)
def test_every_command_has_help_and_stands_in_the_readme(path):
    command = VERBS[path]
    assert command.help
    assert all(parameter.help for parameter in command.params if parameter.name != "help")
    assert f"`{path} " in README or f"`{path}`" in README


@pytest.mark.parametrize("line", _typed())
def test_every_line_of_the_readme_can_be_typed(line):
    words = shlex.split(line.split(" > ")[0])
    path = " ".join(words[:3] if words[1] == "models" else words[:2])
    assert path in VERBS
    assert VERBS[path].make_context(path, words[len(path.split()) :]).params


def test_the_readme_begins_with_the_two_commands():
    first_block = README.split("```")[1]
    assert re.findall(r"^make \w+", first_block, re.MULTILINE) == ["make demo", "make demo", "make test"]


def test_generated_tables_are_current():
    done = subprocess.run([sys.executable, "docs/tables.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_stale_table_is_noticed(tmp_path):
    copy = tmp_path / "docs" / "tables.py"
    copy.parent.mkdir()
    copy.write_text((ROOT / "docs" / "tables.py").read_text(encoding="utf-8"), encoding="utf-8")
    stale = README.replace("--self-ensemble", "--self-assembly")
    (tmp_path / "README.md").write_text(stale, encoding="utf-8")
    assert subprocess.run([sys.executable, copy, "--check"], capture_output=True).returncode == 1
    subprocess.run([sys.executable, copy], check=True)
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert written.count("--self-ensemble") == README.count("--self-ensemble") - _outside_tables("--self-ensemble")


def _outside_tables(word: str) -> int:
    return re.sub(r"<!-- (.+?): begin -->.*?<!-- \1: end -->", "", README, flags=re.DOTALL).count(word)


def test_exit_codes_are_those_of_the_program():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == set(ExitCode)


def test_every_environment_variable_is_named():
    read = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"environ\S*[(\[]\"(UPSCALE_\w+)\"", path.read_text(encoding="utf-8"))
    }
    assert read
    assert read == set(re.findall(r"^\| `(UPSCALE_\w+)`", README, re.MULTILINE))


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/README.md")]))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
