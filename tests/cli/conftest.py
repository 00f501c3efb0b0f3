"""`upscale` in this process, for what needs no process of its own: the whole command line, with its exit code."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from upscale_cli.cli.app import main


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def complained(self, code: int, *words: str) -> bool:
        """Exit code `code`, and one line on stderr that holds all the words."""
        line = self.err.strip()
        return self.code == code and "\n" not in line and all(word in line for word in words)


Upscale = Callable[..., Ended]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with cache and configuration elsewhere."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("UPSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UPSCALE_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in `one_thread`
    monkeypatch.delenv("UPSCALE_WEIGHTS", raising=False)
    return tmp_path / "here"


@pytest.fixture
def upscale(folder: Path, capfd: pytest.CaptureFixture[str], one_thread: None) -> Iterator[Upscale]:
    """Runs `upscale ARGUMENTS` in `folder`."""

    def call(*arguments: object) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([os.fspath(part) if isinstance(part, Path) else str(part) for part in arguments])
        return Ended(int(end.value.code or 0), *capfd.readouterr())

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(upscale: Upscale, small_model: Path) -> Upscale:
    """Runs `upscale run ARGUMENTS --model <a small one>`."""
    return lambda *arguments: upscale("run", "--model", small_model, *arguments)
