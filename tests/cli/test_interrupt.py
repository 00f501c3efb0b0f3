"""A signal ends the process cleanly wherever it stands."""

import subprocess
import sys

import pytest

from upscale_cli.cli.interrupt import how_to_go_on

SCRIPT = """
import os, signal, sys, types
from upscale_cli.cli.interrupt import leave_at_once_when_interrupted
leave_at_once_when_interrupted("the same command goes on from there")
name = "upscale_cli.services.upscale_worker"
if "half" in sys.argv:
    sys.modules[name] = types.ModuleType(name)
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_what_overwrites_does_not_go_on() -> None:
    assert how_to_go_on(overwrite=False) == "the same command goes on from there"
    assert how_to_go_on(overwrite=True) == "without --overwrite the same command goes on from there"


@pytest.mark.parametrize("imported", ["not at all", "half"])
def test_a_signal_before_the_program_is_imported(imported: str):
    done = subprocess.run([sys.executable, "-c", SCRIPT, imported], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; what is finished stays, the same command goes on from there\n"
