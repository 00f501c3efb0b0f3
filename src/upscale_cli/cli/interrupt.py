"""Ctrl-C and SIGTERM in the middle of `upscale run`."""

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NoReturn

from upscale_cli.errors import ExitCode


def how_to_go_on(*, overwrite: bool) -> str:
    """What to type to have the rest done: existing outputs are skipped, but not with --overwrite."""
    return f"{'without --overwrite ' if overwrite else ''}the same command goes on from there"


def leave_at_once_when_interrupted(advice: str) -> None:
    """From now on SIGINT and SIGTERM end the process where it stands, with unfinished files removed.

    advice: how to go on, for the message.

    An exception instead could be swallowed on its way, or wait for a large picture being encoded.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # One that was ignored from the start (nohup, a shell's background) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, partial(_leave, advice))


def _leave(advice: str, _signal: int, _frame: FrameType | None) -> NoReturn:
    # Without the module, or while it is being imported, nobody writes.
    stop_writing = getattr(sys.modules.get("upscale_cli.services.upscale_worker"), "stop_writing", None)
    if stop_writing is not None:
        stop_writing()
    # Without Python's streams, which may be in the middle of a line.
    if sys.stderr.isatty():
        os.write(2, b"\r\x1b[J\x1b[?25h")  # progress bars hide the cursor
    with suppress(OSError):  # nobody reads it
        os.write(2, f"interrupted; what is finished stays, {advice}\n".encode())
    os._exit(ExitCode.INTERRUPTED)
