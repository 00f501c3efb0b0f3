"""One room per paper; a room is imported only when its name is asked for."""

import difflib
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from upscale_cli.errors import UsageError
from upscale_cli.methods.method import Method, Trainer

ROOMS = {
    "srrescycgan": "upscale_cli.methods.srrescycgan",
    "rwsr": "upscale_cli.methods.rwsr",
    "dualsr": "upscale_cli.methods.dualsr",
    "cyclesr": "upscale_cli.methods.cyclesr",
}


def load_method(name: str) -> Method:
    """What `name` offers for inference (its room's `checkpoint.py`).  Raises UsageError for an unknown name."""
    return cast(Method, import_module(f"{_room(name)}.checkpoint"))


def load_trainer(name: str) -> Trainer:
    """What `name` offers for training (its room's `training.py`).  Raises UsageError where there is no such thing."""
    room = _room(name)
    if find_spec(f"{room}.training") is None:
        raise UsageError(f"{name} learns from each picture anew, not from a recipe", "upscale zeroshot PICTURE")
    return cast(Trainer, import_module(f"{room}.training"))


def _room(name: str) -> str:
    if name not in ROOMS:
        near = difflib.get_close_matches(name, ROOMS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"methods: {', '.join(ROOMS)}"
        raise UsageError(f"unknown method '{name}'", hint)
    return ROOMS[name]
