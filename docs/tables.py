"""Writes the generated tables into README.md: the commands, the options of `upscale run`, the models, the formats.

python docs/tables.py [--check]

--check writes nothing and fails where a table is not what the program says today.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from upscale_cli.cli.app import app
from upscale_cli.config.toml_file import read_toml
from upscale_cli.imaging.formats import FORMATS
from upscale_cli.weights.entry import Entry
from upscale_cli.weights.places import program_catalogue

Row = tuple[str, ...]
README = Path(__file__).parents[1] / "README.md"
MARKED = re.compile(r"(<!-- (?P<name>[^:>]+): begin -->\n).*?(?=<!-- (?P=name): end -->)", re.DOTALL)


def filled(text: str) -> str:
    """`text` with every marked table written anew.  Raises KeyError for a name that nothing is known of."""
    return MARKED.sub(lambda mark: f"{mark[1]}\n{table(mark['name'])}\n\n", text)


def table(name: str) -> str:
    """'models', 'formats', 'commands', or 'options of upscale <command>' -> a Markdown table."""
    if name == "models":
        return models_table()
    if name == "formats":
        return formats_table()
    group = typer.main.get_command(app)
    if name == "commands":
        return rows(("command", "what it does"), command_rows(group, "upscale"))
    return rows(("option", "meaning"), option_rows(find(group, name.removeprefix("options of upscale "))))


def find(group: Any, path: str) -> Any:
    """'models pull' -> its command."""
    for word in path.split():
        group = group.commands[word]
    return group


def models_table() -> str:
    """Every model of the program's own catalogue."""
    catalogue = read_toml(program_catalogue())
    lines: list[Row] = []
    for name, entry in catalogue["models"].items():
        if entry.get("role") == "features":
            continue
        model = Entry.model_validate({**entry, "name": name})
        whence = "ships with the program" if model.file else "downloaded when first used"
        role = ", the default" if name == catalogue["default"] else ", chosen by `auto`" if model.auto else ""
        lines.append((f"`{name}`", f"x{model.scale}", model.description, whence + role, model.licence))
    return rows(("model", "scale", "made for", "where it is", "licence"), lines)


def formats_table() -> str:
    """What each format that is written can hold."""
    heading = ("format", "16 bit", "grey", "transparency", "ICC profile", "EXIF", "DPI", "at most")
    lines: list[Row] = []
    for kind in FORMATS.values():
        held = (kind.deep, kind.grey, kind.alpha, kind.profile, kind.exif, kind.dpi)
        limits = ((kind.max_side, "pixels a side"), (kind.max_pixels, "pixels"), (kind.max_bytes, "bytes"))
        most = ", ".join(f"{limit:,} {unit}" for limit, unit in limits if limit is not None)
        lines.append((kind.name, *("yes" if holds else "no" for holds in held), most))
    return rows(heading, lines)


def command_rows(command: Any, path: str) -> Iterator[Row]:
    """Each verb with its arguments and the first paragraph of its help."""
    if hasattr(command, "commands"):
        for name, verb in command.commands.items():
            yield from command_rows(verb, f"{path} {name}")
        return
    arguments = [p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument"]
    yield f"`{' '.join([path, *arguments])}`", command.help.split("\n\n")[0].replace("\n", " ")


def option_rows(command: Any) -> Iterator[Row]:
    """Each option with its value, its help and its default."""
    for option in command.params:
        if option.param_type_name != "option":
            continue
        names = ", ".join(f"`{name}`" for name in [*sorted(option.opts, key=len), *option.secondary_opts])
        value = "" if option.is_flag else f" {option.metavar or max(option.opts, key=len)[2:].upper()}"
        default = f" Default: {option.default}." if isinstance(option.default, str) else ""
        yield names + value, option.help + default


def rows(heading: Row, lines: Iterable[Row]) -> str:
    """A Markdown table."""
    ruled = [heading, ("---",) * len(heading), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in ruled)


def main(arguments: list[str]) -> str | None:
    """Returns what is wrong, None where nothing is."""
    text = README.read_text(encoding="utf-8")
    new = filled(text)
    if "--check" in arguments:
        return None if new == text else f"{README.name}: a table is out of date (make docs)"
    README.write_text(new, encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
