"""What a training shows: plain lines, the live view, nothing; and which signals it takes."""

import io
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from upscale_cli.cli import train_console as module
from upscale_cli.cli.train_console import TrainConsole
from upscale_cli.training.state import Best
from upscale_cli.training.watch import Progress

LOSSES = {"l1": 2.0, "gan": 0.25, "total": 2.25}


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@contextmanager
def _begun(
    console: TrainConsole, step: int = 0, max_steps: int = 200, best: Best | None = None
) -> Iterator[TrainConsole]:
    console.begin(step, max_steps, 8, best)
    try:
        yield console
    finally:
        console.end()


def test_plain_lines_come_soon_then_seldom_and_at_each_validation(clock: Clock, capsys: pytest.CaptureFixture[str]):
    spoken = []
    with _begun(TrainConsole(None, quiet=False)) as console:
        for step in range(1, 101):
            clock.now += 1
            console.step(Progress(step, 1e-4, LOSSES, 1.0, {"psnr": 20.0 + step} if step == 50 else None))
            if capsys.readouterr().err:
                spoken.append(step)
    assert spoken == [1, 2, 4, 8, 16, 26, 36, 46, 50, 60, 70, 80, 90, 100]


def test_a_plain_line_says_it_all(clock: Clock, capsys: pytest.CaptureFixture[str]):
    with _begun(TrainConsole(None, quiet=False)) as console:
        console.step(Progress(1, 1e-4, LOSSES, 0.5, {"psnr": 26.0}))
        console.step(Progress(2, 1e-4, LOSSES, 0.5, {"psnr": 25.0}))
    first, second = capsys.readouterr().err.splitlines()
    common = "l1 2.00, gan 0.2500, total 2.25, lr 1.00e-04, 16.0 patches/s, 2 min left"
    assert first == f"step 1/200: {common}, validation: psnr 26.00 at step 1, the best"
    assert second == f"step 2/200: {common}, validation: psnr 25.00 at step 2, best: psnr 26.00 at step 1"


def test_the_best_validation_of_earlier_sessions_is_known(clock: Clock, capsys: pytest.CaptureFixture[str]):
    with _begun(TrainConsole(None, quiet=False), step=5, best=Best(4, "psnr", 26.0)) as console:
        for step, psnr in ((6, None), (7, 25.0), (8, 27.0)):
            console.step(Progress(step, 1e-4, LOSSES, 0.5, psnr and {"psnr": psnr}))
    before, worse, better = (line.partition(" left, ")[2] for line in capsys.readouterr().err.splitlines()[1:])
    assert before == "best: psnr 26.00 at step 4"
    assert worse == "validation: psnr 25.00 at step 7, best: psnr 26.00 at step 4"
    assert better == "validation: psnr 27.00 at step 8, the best"


def test_quiet_shows_nothing_even_on_a_terminal(capfd: pytest.CaptureFixture[str]):
    screen = Console(file=io.StringIO(), force_terminal=True)
    with _begun(TrainConsole(screen, quiet=True), step=5) as console:
        console.step(Progress(6, 1e-4, LOSSES, 0.5, {"psnr": 26.0}))
        console.message("something")
    assert capfd.readouterr() == ("", "")
    assert screen.file.getvalue() == ""


@pytest.mark.parametrize("width", [12, 40, 120])
def test_the_live_view_fits_any_width_and_leaves_only_messages(width: int):
    shown = io.StringIO()
    with _begun(
        TrainConsole(Console(file=shown, force_terminal=True, width=width, height=50), quiet=False), 5
    ) as console:
        for step in range(6, 11):
            console.step(Progress(step, 1e-4, LOSSES, 0.5, {"psnr": 30.0 - step}))
        console.message("a message")
    text = shown.getvalue()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", re.sub(r"\x1b\[[0-9;]*m", "", text)).splitlines()
    assert max(map(len, lines)) <= max(width, len("going on from step 5"))
    words = " ".join(" ".join(lines).split())
    assert "going on from step 5" in words
    assert "a message" in words
    assert text.endswith("\x1b[2K")  # the view's lines are wiped in the end
    if width > 12:
        for part in (
            "step 10/200",
            "5%",
            "elapsed",
            "16.0 patches/s",
            "lr 1.00e-04",
            "l1 2.00, gan 0.2500, total 2.25",
        ):
            assert part in words
        assert "validation: psnr 20.00 at step 10" in words
        assert "best: psnr 24.00 at step 6" in words


def test_a_message_is_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str]):
    TrainConsole(None, quiet=False).message("a\nb.png: \x1b[31mred")
    assert capsys.readouterr().err == "a\\nb.png: \\x1b[31mred\n"


def test_a_terminal_that_is_gone_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return len(text)

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    for screen in (None, Console(file=terminal, force_terminal=True)):
        terminal.gone = False
        with _begun(TrainConsole(screen, quiet=False)) as console:
            terminal.gone = True
            console.step(Progress(1, 1e-4, LOSSES, 0.5))
            console.message("a message")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_to_stop_and_a_second_one_does_what_it_did_before(number: signal.Signals):
    caught: list[int] = []
    before = signal.signal(number, lambda number, frame: caught.append(number))
    try:
        with _begun(TrainConsole(None, quiet=True)) as console:
            assert not console.stop_requested()
            signal.raise_signal(number)
            assert console.stop_requested()
            assert console.stopped_by == number
            signal.raise_signal(number)
        assert caught == [number]
    finally:
        signal.signal(number, before)


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _begun(TrainConsole(None, quiet=True)) as console:
            signal.raise_signal(signal.SIGHUP)
            assert not console.stop_requested()
    finally:
        signal.signal(signal.SIGHUP, before)
