"""The one error family. `cli/app.py` is the only place that turns it into text and exit codes."""

from collections.abc import Iterable
from enum import IntEnum

_SHOWN = 4


class ExitCode(IntEnum):
    """What the process tells the shell; documented in the README."""

    DONE = 0
    BUG = 1
    USAGE = 2
    INPUTS_FAILED = 3
    WEIGHTS = 4
    RESOURCES = 5
    TRAINING_STATE = 6
    INTERRUPTED = 130
    READER_GONE = 141


class UpscaleError(Exception):
    """A fault the user can act on: one line of what happened with which value, and a hint at what to do.

    message: what happened, with the values, no line breaks.  hint: what to do next ("" where nothing helps).
    """

    exit_code = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(UpscaleError):
    """The request itself is wrong: a flag, a name, a config, an output that cannot be."""

    exit_code = ExitCode.USAGE


class PictureError(UpscaleError):
    """One input picture cannot be read, upscaled or written; the others go on."""

    exit_code = ExitCode.INPUTS_FAILED


class WeightsError(UpscaleError):
    """A checkpoint could not be obtained, or cannot be trusted."""

    exit_code = ExitCode.WEIGHTS


class ResourceError(UpscaleError):
    """Memory or disk exhausted."""

    exit_code = ExitCode.RESOURCES


class ReaderGoneError(UpscaleError):
    """Whoever read standard output has closed it, as `head` does when it has enough: nothing is said."""

    exit_code = ExitCode.READER_GONE


class TrainingStateError(UpscaleError):
    """Training cannot go on: non-finite loss, nothing to resume from, or with another recipe than it began with."""

    exit_code = ExitCode.TRAINING_STATE


def some(names: Iterable[str]) -> str:
    """The first four of them, for a message."""
    listed = list(names)
    return ", ".join(listed[:_SHOWN]) + (" ..." if len(listed) > _SHOWN else "")
