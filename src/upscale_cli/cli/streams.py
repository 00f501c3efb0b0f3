"""The standard streams: what one that is closed, full or no longer read means for the whole program."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import TextIOWrapper
from typing import Any, TextIO, cast

from upscale_cli.errors import ReaderGoneError, ResourceError


@contextmanager
def standard_streams() -> Iterator[None]:
    """Within it printing raises ResourceError or ReaderGoneError, and messages that cannot be shown stop nothing."""
    _replace_closed()
    _say_all_letters()
    results, messages = _Results(sys.stdout), _Messages(sys.stderr)
    with redirect_stdout(cast(TextIO, results)), redirect_stderr(cast(TextIO, messages)):
        try:
            yield
        finally:
            results.end()
            messages.end()


def _replace_closed() -> None:
    """Streams that the process was started without (`>&-`) get stand-ins, lest a picture's file take their number.

    Reading and printing then fail as on a closed stream; messages are lost.
    """
    ways = {"stdin": (os.O_WRONLY, "r"), "stdout": (os.O_RDONLY, "w"), "stderr": (os.O_WRONLY, "w")}
    for name, (flags, mode) in ways.items():
        if getattr(sys, name) is None:
            # The system gives the lowest free number, which is the stream's own.
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


def _say_all_letters() -> None:
    """Streams of ASCII alone become UTF-8, which typer would otherwise write past what reads their faults."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and codecs.lookup(stream.encoding).name == "ascii":
            stream.reconfigure(encoding="utf-8", errors=stream.errors)


class _Stream:
    """A text stream but for its faults."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def end(self) -> None:
        """What cannot be written is forgotten: the interpreter's end would try it again, and exit as it likes."""
        try:
            self._stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


class _Results(_Stream):
    """Standard output."""

    def write(self, text: str) -> int:
        with _named_faults():
            return self._stream.write(text)

    def flush(self) -> None:
        with _named_faults():
            self._stream.flush()


class _Messages(_Stream):
    """Standard error."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def _named_faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"standard output: {error.strerror}"
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError(message) from error
        raise ResourceError(message, "give the results somewhere to go") from error
