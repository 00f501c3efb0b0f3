"""How a picture was made: written into it, and read back from the header of one that is there already."""

import json
from collections.abc import Mapping
from pathlib import Path

from upscale_cli import __version__
from upscale_cli.services.loading import Model
from upscale_cli.services.upscale_report import UpscaleRequest

SOFTWARE = "upscale-cli"
_SETTINGS = ("Model-SHA256", "Scale", "Self-Ensemble", "Projection", "Tile-Statistics")


def provenance(request: UpscaleRequest, model: Model, precision: str = "") -> dict[str, str]:
    """What is written into an output."""
    return {
        "Software": f"{SOFTWARE} {__version__}",
        "Model": model.name.encode("utf-8", "replace").decode(),
        "Model-SHA256": model.sha256,
        "Scale": request.scale_label(model.scale),
        "Self-Ensemble": "yes" if request.self_ensemble else "no",
        "Precision": precision,
        "Projection": "official" if request.projection else "off",
        "Tile-Statistics": "local" if request.local_statistics else "exact",
    }


def made_otherwise(path: Path, wanted: Mapping[str, str]) -> bool:
    """Whether the picture says that it was made with other settings than `wanted`; False where it says nothing."""
    found = read_provenance(path)
    return any(found.get(key) and wanted[key] and found[key] != wanted[key] for key in _SETTINGS)


def is_own_work(path: Path) -> bool:
    """Whether the picture says that this program made it."""
    return read_provenance(path).get("Software", "").startswith(SOFTWARE)


def read_provenance(path: Path) -> dict[str, str]:
    """What `provenance` gave when the picture was written, from its header; {} where there is nothing of the kind."""
    from PIL import Image

    from upscale_cli.imaging.decoding import FORMATS
    from upscale_cli.imaging.metadata import BASE, IFD

    try:
        with Image.open(path, formats=FORMATS) as image:
            texts = {key: value for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)}
            if image.format == "PNG":
                return texts
            exif = image.getexif()
            comment = exif.get_ifd(IFD.Exif).get(BASE.UserComment, b"")
            for text in (comment[8:] if isinstance(comment, bytes) else comment, exif.get(BASE.ImageDescription, "")):
                if text[:1] in (b"{", "{"):
                    return {str(key): str(value) for key, value in json.loads(text).items()}
    except Exception:  # noqa: BLE001 - a foreign or damaged file raises anything at all; it says nothing
        return {}
    return {}
