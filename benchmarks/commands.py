"""The program, as benchmarks of whole commands call it."""

import subprocess
import sys


def upscale(*arguments: object) -> str:
    """`upscale ARGUMENTS`; what it printed on stdout.  Ends the program with its exit code where that is not 0."""
    done = subprocess.run(
        [sys.executable, "-m", "upscale_cli", *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout
