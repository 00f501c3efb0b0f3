"""JPEG's tables: libjpeg's own, read from files, and the nearest quality."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upscale_cli.errors import PictureError
from upscale_cli.imaging.jpeg_tables import TABLES, nearest_quality, table_in, table_of


def jpeg(orientation: int = 1, **options: object) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (16, 8), "grey").save(stream, "JPEG", exif=exif, **options)
    return stream.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 92, 100])
def test_they_are_what_pillow_writes(quality: int) -> None:
    found = table_in(jpeg(quality=quality))
    assert found is not None
    np.testing.assert_array_equal(found, table_of(quality))
    assert nearest_quality(found) == quality


def test_each_quality_is_nearest_to_itself() -> None:
    assert [nearest_quality(table) for table in TABLES] == list(range(1, 101))


def test_a_table_of_another_kind_goes_by_its_coarse_steps() -> None:
    table = table_of(60)
    table[4:, 4:] = 2
    assert nearest_quality(table) == 60
    assert nearest_quality(np.where(np.eye(8) > 0, table_of(35), 0)) == 35


def test_a_picture_on_its_side_has_its_table_turned_too() -> None:
    table = table_in(jpeg(orientation=6, quality=50))
    assert table is not None
    np.testing.assert_array_equal(table, table_of(50).T)


def test_other_formats_have_none(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    assert table_in(tmp_path / "a.png") is None


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(PictureError):
        table_in(b"no picture")
