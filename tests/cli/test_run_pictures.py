"""What survives `upscale run`: depth, grey, transparency, uprightness, profile, EXIF, resolution, provenance."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from upscale_cli.imaging.sharpening import sharpen
from upscale_cli.services.provenance import read_provenance

Run = Callable[..., Any]
RAMP = np.linspace(0, 1, 24 * 16).reshape(16, 24)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def eight(values: Any) -> Any:
    return np.rint(np.asarray(values) * 255).astype(np.uint8)


def done(run: Run, source: str, target: str, *more: str) -> tuple[Any, dict[str, Any]]:
    """The output as Pillow reads it, and its record."""
    ended = run(source, "-o", target, "--json", *more)
    assert ended.code == 0, ended
    image = Image.open(target)
    image.load()
    return image, json.loads(ended.out)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_stay_16(run: Run, folder: Path, suffix: str) -> None:
    cv2.imwrite(f"a.{suffix}", np.rint(COLOURS * 65535).astype(np.uint16))
    _, record = done(run, f"a.{suffix}", f"b.{suffix}", "-s", "2")
    pixels = cv2.imread(f"b.{suffix}", cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels)) > 1000, "more levels than 8 bits have"
    assert "notes" not in record
    _, record = done(run, f"a.{suffix}", "b.jpg")
    assert record["notes"] == ["16-bit input is written as 8 bit: JPEG holds no more"]


def test_sharpening_comes_after_the_network_and_before_rounding(run: Run, folder: Path) -> None:
    colours = np.rint(COLOURS * 65535).astype(np.uint16)
    deep = np.dstack([colours, np.rint(RAMP * 65535).astype(np.uint16)])
    cv2.imwrite("a.png", deep)
    done(run, "a.png", "plain.png")
    _, record = done(run, "a.png", "crisp.png", "--sharpen", "0.8")
    assert record["sharpen"] == 0.8
    done(run, "a.png", "tiles.png", "--sharpen", "0.8", "--tile", "16")
    plain, crisp, tiles = (cv2.imread(f"{name}.png", cv2.IMREAD_UNCHANGED) for name in ("plain", "crisp", "tiles"))
    assert np.array_equal(crisp[..., 3], plain[..., 3]), "transparency is no edge"
    expected = plain[..., :3].copy()
    sharpen(expected, 0.8, 4)
    assert np.array_equal(crisp[..., :3], expected)
    assert np.abs(tiles.astype(int) - crisp).max() <= 2  # of 65,535
    assert (crisp != plain).any()
    cv2.imwrite("b.png", (colours / 257).astype(np.uint8))
    done(run, "b.png", "eight.png", "--sharpen", "0.8")
    assert read_provenance(Path("eight.png"))["Sharpen"] == "0.8"
    assert ", sharpened 0.8" in run("b.png", "-o", "c.png", "--sharpen", "0.8", "-v").err
    assert cv2.imread("eight.png", cv2.IMREAD_UNCHANGED).dtype == np.uint8


@pytest.mark.parametrize(
    ("mode", "target", "expected"),
    [
        ("L", "b.png", "L"), ("LA", "b.png", "LA"), ("RGBA", "b.png", "RGBA"), ("1", "b.png", "L"),
        ("P", "b.png", "RGB"),
        ("L", "b.jpg", "L"), ("L", "b.tif", "L"), ("RGBA", "b.webp", "RGBA"), ("RGBA", "b.tif", "RGBA"),
        ("L", "b.ppm", "L"), ("RGB", "b.bmp", "RGB"), ("RGBA", "b.avif", "RGBA"),
    ],
)  # fmt: skip
def test_channels_survive(run: Run, folder: Path, mode: str, target: str, expected: str) -> None:
    """The picture stays itself too: brought back to its size it is near the source (the network is untrained)."""
    base = Image.fromarray(eight(COLOURS)).convert(mode)
    if mode in ("LA", "RGBA"):
        base.putalpha(Image.fromarray(eight(RAMP)))
    base.save("a.png")
    image, _ = done(run, "a.png", target)
    assert image.mode == expected
    assert image.size == (96, 64)
    if mode != "1":
        small = np.asarray(image.convert("RGBA").resize((24, 16), Image.Resampling.BOX)).astype(int)
        assert np.abs(small - np.asarray(base.convert("RGBA")).astype(int)).mean() < 10


def test_transparent_pixels_leave_no_halo(run: Run, folder: Path) -> None:
    """White on transparent black: nothing dark comes in at the edge."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[4:12, 4:12] = 255
    Image.fromarray(pixels).save("a.png")
    image, _ = done(run, "a.png", "b.png")
    samples = np.asarray(image)
    seen = samples[..., 3] > 0
    plain = np.full((16, 16, 3), 255, np.uint8)
    Image.fromarray(plain).save("white.png")
    white, _ = done(run, "white.png", "white_b.png")
    assert samples[seen][:, :3].min() >= int(np.asarray(white).min()) - 1
    assert samples[0, 0, 3] == 0
    assert samples[32, 32, 3] == 255


def test_cmyk_becomes_srgb_with_a_word(run: Run, folder: Path) -> None:
    Image.fromarray(eight(COLOURS)).convert("CMYK").save("a.jpg", quality=95)
    image, record = done(run, "a.jpg", "b.jpg")
    assert image.mode == "RGB"
    assert record["notes"] == ["CMYK converted to sRGB without a profile: colours are approximate"]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_upright(run: Run, folder: Path, orientation: int) -> None:
    upright = Image.fromarray(eight(COLOURS))
    stored = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright.transpose(stored[orientation]).save("a.jpg", exif=exif, quality=95)
    image, record = done(run, "a.jpg", "b.jpg")
    assert image.size == (96, 64)
    assert record["input_size"] == [24, 16]
    assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    small = np.asarray(image.resize(upright.size, Image.Resampling.BOX)).astype(int)
    assert np.abs(small - eight(COLOURS)).mean() < 10


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_what_travels_with_the_pixels(run: Run, folder: Path, suffix: str) -> None:
    """ICC, EXIF and DPI stay; provenance comes; --no-metadata drops EXIF and provenance, not the profile."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Copyright] = "Somebody"
    Image.fromarray(eight(COLOURS)).save("a.jpg", exif=exif, icc_profile=SRGB, dpi=(300, 300))
    image, record = done(run, "a.jpg", f"b.{suffix}", "-s", "2", "-x")
    assert image.info["icc_profile"] == SRGB
    assert image.getexif()[ExifTags.Base.Make] == "Maker"
    dpi = image.info.get("dpi") or [image.getexif()[ExifTags.Base.XResolution]]
    assert float(dpi[0]) == pytest.approx(300, abs=0.1)
    made = read_provenance(Path(f"b.{suffix}"))
    assert made["Software"].startswith("upscale-cli ")
    assert made["Model"] == "small"
    assert made["Model-SHA256"] == record["sha256"]
    assert (made["Scale"], made["Self-Ensemble"], made["Precision"]) == ("2", "yes", "fp32")
    bare, _ = done(run, "a.jpg", f"c.{suffix}", "--no-metadata")
    assert bare.info["icc_profile"] == SRGB
    assert ExifTags.Base.Make not in bare.getexif()
    assert read_provenance(Path(f"c.{suffix}")) == {}
    assert b"upscale-cli" not in Path(f"c.{suffix}").read_bytes()


def test_a_black_photo_stays_black(run: Run, folder: Path) -> None:
    """Values are never guessed at; an untrained network moves them by little."""
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save("a.png")
    image, _ = done(run, "a.png", "b.png")
    assert np.asarray(image).mean() < 5


def test_resampling_keeps_flat_colours_flat(run: Run, folder: Path) -> None:
    """The odd scales go through 16 bits and Lanczos, which round once and ring nowhere in a flat patch."""
    Image.new("RGB", (32, 32), (200, 100, 50)).save("a.png")
    whole, _ = done(run, "a.png", "b.png")
    image, _ = done(run, "a.png", "c.png", "-s", "2.5")
    middle, exact = np.asarray(image)[30:50, 30:50].astype(int), np.asarray(whole)[48:80, 48:80].astype(int)
    assert np.abs(middle.mean(axis=(0, 1)) - exact.mean(axis=(0, 1))).max() <= 1


def test_lossless_formats_agree(run: Run, folder: Path) -> None:
    Image.fromarray(eight(COLOURS)).save("a.png")
    results = [np.asarray(done(run, "a.png", f"b.{suffix}")[0]) for suffix in ("png", "tif", "bmp", "ppm")]
    assert all((result == results[0]).all() for result in results)
    lossless, _ = done(run, "a.png", "b.webp", "--quality", "100")
    assert (np.asarray(lossless) == results[0]).all()
    small, large = (io.BytesIO(Path(name).read_bytes()) for name in (
        done(run, "a.png", "low.jpg", "--quality", "20")[1]["output"],
        done(run, "a.png", "high.jpg", "--quality", "98")[1]["output"],
    ))  # fmt: skip
    assert small.getbuffer().nbytes < large.getbuffer().nbytes
