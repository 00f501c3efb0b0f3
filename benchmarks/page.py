"""Where measured tables go: a page of the docs, between markers with the table's name."""

from pathlib import Path


def write(page: Path, name: str, text: str) -> None:
    """Puts `text` between <!-- name: begin --> and <!-- name: end --> of `page`; at its end where it has neither."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")
