"""How a picture was made: written into it, and read back from the header of one that is there already."""

import json
from collections.abc import Mapping
from pathlib import Path

from upscale_cli import SOFTWARE, __version__
from upscale_cli.services.loading import Model
from upscale_cli.services.upscale_report import PictureReport, UpscaleRequest

_SETTINGS = (
    *("Model-SHA256", "Scale", "Self-Ensemble", "Sharpen"),
    *("Projection", "Tile-Statistics", "Fusion", "Partner-SHA256"),
)


def provenance(request: UpscaleRequest, model: Model, report: PictureReport | None = None) -> dict[str, str]:
    """What is written into an output; without its report, what is known before it is made."""
    settings = {
        "Software": f"{SOFTWARE} {__version__}",
        "Model": writable(model.name),
        "Model-SHA256": model.sha256,
        "Scale": request.scale_label(model.scale),
        "Self-Ensemble": "yes" if request.self_ensemble else "no",
        "Sharpen": f"{request.sharpen:g}" if request.sharpen else "off",
        "Precision": report.precision if report is not None else "",
        "Projection": "official" if request.projection else "off",
        "Tile-Statistics": "local" if request.local_statistics else "exact",
        "Fusion": "off",
    }
    if model.partner is not None:
        settings |= {"Fusion": request.fusion.settings.words, "Partner-SHA256": model.partner.sha256}
    if report is not None and report.fusion is not None:
        settings["Fused"] = writable(report.fusion.words)
    if report is not None and report.learned is not None:
        settings["Learned"] = report.learned.settings
    if report is not None and report.choice is not None:
        settings["Chosen"] = writable(report.choice.words)
    return settings


def writable(text: str) -> str:
    """A name as text, which a file's need not be."""
    return text.encode("utf-8", "replace").decode()


def made_otherwise(path: Path, wanted: Mapping[str, str]) -> bool:
    """Whether the picture says that it was made with other settings than `wanted`; False where it says nothing."""
    found = read_provenance(path)
    return any(found.get(key) and wanted.get(key) and found[key] != wanted[key] for key in _SETTINGS)


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
