"""Where checkpoints and catalogues lie on this machine. Looks nothing up on disk beyond the existence of a file."""

import os
from pathlib import Path

import platformdirs

APP = "upscale-cli"
_PACKAGE = Path(__file__).parents[1]


def cache_folder() -> Path:
    """The folder of downloaded and imported checkpoints: UPSCALE_CACHE, or the user's cache folder."""
    chosen = os.environ.get("UPSCALE_CACHE")
    return _folder_of_home(chosen) if chosen else Path(platformdirs.user_cache_dir(APP, appauthor=False))


def bundled_folder() -> Path:
    """The checkpoints that ship with the program."""
    return _PACKAGE / "pretrained"


def program_catalogue() -> Path:
    """The program's own weights.toml: inside an installed package, or at the root of a checkout."""
    installed = _PACKAGE / "weights.toml"
    return installed if installed.exists() else _PACKAGE.parents[1] / "weights.toml"


def user_catalogues() -> list[Path]:
    """The user's own catalogues, later ones winning: the configuration folder's, then the one UPSCALE_WEIGHTS names."""
    standing = Path(platformdirs.user_config_dir(APP, appauthor=False)) / "weights.toml"
    named = os.environ.get("UPSCALE_WEIGHTS")
    return [standing] * standing.is_file() + ([_folder_of_home(named)] if named else [])


def _folder_of_home(text: str) -> Path:
    """With the user's folder for ~; that of somebody unknown stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - pathlib raises for somebody unknown
