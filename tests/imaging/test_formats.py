"""What a format cannot hold is known before the work."""

import io

import numpy as np
import pytest

from upscale_cli.errors import UsageError
from upscale_cli.imaging.files import SUFFIXES, Picture, check_output, format_for, read_picture, write_picture


def test_suffixes() -> None:
    assert [format_for(name) for name in (".JPG", "jpeg", ".tif", "webp", "PNG", ".pgm")] == [
        *("JPEG", "JPEG", "TIFF", "WEBP", "PNG", "PPM")
    ]
    assert set(SUFFIXES.values()) == {"PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "AVIF"}
    with pytest.raises(UsageError, match=r"'\.docx'"):
        format_for(".docx")


@pytest.mark.parametrize(
    ("file_format", "width", "height", "fits"),
    [
        ("JPEG", 65_500, 1, True),
        ("JPEG", 65_501, 1, False),
        ("JPEG", 1, 65_536, False),
        ("WEBP", 16_383, 16_383, True),
        ("WEBP", 16_384, 1, False),
        ("AVIF", 32_768, 8_192, True),
        ("AVIF", 32_768, 8_193, False),
        ("TIFF", 37_000, 38_000, True),
        ("TIFF", 38_000, 38_000, False),
        ("BMP", 38_000, 38_000, False),
        ("PNG", 400_000, 400_000, True),
    ],
)
def test_sizes(file_format: str, width: int, height: int, fits: bool) -> None:
    def check() -> tuple[str, ...]:
        return check_output(file_format, width, height, bits=8, has_alpha=False, channels="rgb")

    if fits:
        assert check() == ()
    else:
        with pytest.raises(UsageError, match=f"{width} x {height}"):
            check()


@pytest.mark.parametrize(("file_format", "side"), [("JPEG", 65_500), ("WEBP", 16_383)])
def test_the_largest_side_can_really_be_written(file_format: str, side: int) -> None:
    stream = io.BytesIO()
    write_picture(Picture(np.zeros((1, side, 3), np.uint8)), stream, file_format)
    assert read_picture(stream.getvalue()).width == side


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_has_its_range(quality: int) -> None:
    with pytest.raises(UsageError, match=str(quality)):
        check_output("JPEG", 1, 1, bits=8, has_alpha=False, channels="rgb", quality=quality)


def test_quality_without_losses_is_told() -> None:
    notes = check_output("PNG", 1, 1, bits=8, has_alpha=False, channels="rgb", quality=50)
    assert "changes nothing" in notes[0]


def test_depth_that_is_lost_is_told() -> None:
    for file_format in ("JPEG", "WEBP", "BMP", "AVIF"):
        notes = check_output(file_format, 1, 1, bits=16, has_alpha=False, channels="rgb")
        assert notes[0].startswith("16-bit input is written as 8 bit")
    for file_format in ("PNG", "TIFF", "PPM"):
        assert check_output(file_format, 1, 1, bits=16, has_alpha=False, channels="rgb") == ()
