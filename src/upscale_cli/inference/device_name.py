"""How devices are called, checked without torch."""

import re

from upscale_cli.errors import UsageError

_NAMES = re.compile(r"auto|cpu|mps|(cuda|xpu)(:[0-9]{1,4})?")


def check_device_name(name: str) -> None:
    """Raises UsageError for a name that no device has anywhere; whether it is here, `choose_device` finds out."""
    if not _NAMES.fullmatch(name):
        raise UsageError(f"unknown device '{name}'", "auto, cpu, cuda, cuda:0, mps or xpu")
