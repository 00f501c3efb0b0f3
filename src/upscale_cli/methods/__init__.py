"""One room per paper; a room is imported only when its name is asked for."""

import difflib
from collections.abc import Iterable
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
    if name in ROOMS and not _trains(name):
        raise UsageError(f"{name} learns from each picture anew, not from a recipe", "upscale zeroshot PICTURE")
    room = _room(name, filter(_trains, ROOMS))
    return cast(Trainer, import_module(f"{room}.training"))


def _trains(name: str) -> bool:
    return find_spec(f"{ROOMS[name]}.training") is not None


def _room(name: str, offered: Iterable[str] = ROOMS) -> str:
    """offered: what is proposed in place of an unknown name."""
    if name not in ROOMS:
        methods = list(offered)
        near = difflib.get_close_matches(name.lower(), methods, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"methods: {', '.join(methods)}"
        raise UsageError(f"unknown method '{name}'", hint)
    return ROOMS[name]
