"""Files that nobody vouches for: refused in one kind of error, in little time and memory, and never half read."""

import io
import os
import random
import re
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import alpha_ramp, deep_photo, encoded, exif_with, photo, png, png_chunk, srgb_profile
from PIL import Image

from upscale_cli.errors import PictureError, UpscaleError
from upscale_cli.imaging.files import Picture, read_header, read_picture


def whole_files() -> dict[str, bytes]:
    """One small file of each kind that is read."""
    rgb = Image.fromarray(photo(24, 36))
    rgba = Image.fromarray(np.dstack([photo(24, 36), alpha_ramp(24, 36)]))
    deep_tiff = cv2.imencode(".tif", deep_photo(24, 36))[1].tobytes()
    return {
        "png": encoded(rgb, "PNG", exif=exif_with(6), icc_profile=srgb_profile()),
        "png rgba": encoded(rgba, "PNG"),
        "png palette": encoded(rgb.quantize(32), "PNG"),
        "png 16": png(36, 24, 16, 2, deep_photo(24, 36).astype(">u2").tobytes()),
        "jpeg": encoded(rgb, "JPEG", quality=90, exif=exif_with(3)),
        "jpeg progressive": encoded(rgb, "JPEG", quality=90, progressive=True),
        "jpeg grey": encoded(rgb.convert("L"), "JPEG", quality=90),
        "jpeg cmyk": encoded(rgb.convert("CMYK"), "JPEG", quality=90),
        "webp": encoded(rgb, "WEBP"),
        "webp lossless": encoded(rgba, "WEBP", lossless=True),
        "bmp": encoded(rgb, "BMP"),
        "gif": encoded(rgb, "GIF"),
        "tiff": encoded(rgb, "TIFF"),
        "tiff lzw": encoded(rgb, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encoded(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "tiff 16 lzw": deep_tiff,
        "ppm": encoded(rgb, "PPM"),
        "ppm 16": b"P6 36 24 65535 " + deep_photo(24, 36).astype(">u2").tobytes(),
        "avif": encoded(rgb, "AVIF"),
    }


FILES = whole_files()


def same(a: Picture, b: Picture) -> bool:
    alphas_same = (a.alpha is None and b.alpha is None) or (
        a.alpha is not None and b.alpha is not None and np.array_equal(a.alpha, b.alpha)
    )
    return a.pixels.dtype == b.pixels.dtype and np.array_equal(a.pixels, b.pixels) and alphas_same


def read_or_refuse(data: bytes) -> Picture | str:
    """The picture, or the one line that refuses it; any other error fails the test."""
    try:
        read_header(data, 10_000_000)
        return read_picture(data, 10_000_000)
    except UpscaleError as error:
        line = str(error)
    assert line.isprintable()
    assert "object at 0x" not in line
    return line


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ({"rowsperstrip": 10}, 6),
        ({"tile": (16, 32)}, 12),
        ({"planarconfig": "separate", "rowsperstrip": 20}, 9),
        ({"planarconfig": "separate", "tile": (32, 32)}, 18),
    ],
    ids=["strips", "tiles", "planes of strips", "planes of tiles"],
)
def test_an_uncompressed_tiff_has_all_its_parts(layout: dict[str, Any], parts: int) -> None:
    pixels = photo()
    with io.BytesIO() as stream:
        shaped = np.moveaxis(pixels, 2, 0) if "planarconfig" in layout else pixels
        tifffile.imwrite(stream, shaped, photometric="rgb", **layout)
        data = stream.getvalue()
    assert np.array_equal(read_picture(data).pixels, pixels)
    start = int.from_bytes(data[4:8], "little")
    tags = start + 2 + 12 * np.arange(int.from_bytes(data[start : start + 2], "little"))
    counts = [at + 4 for at in tags if int.from_bytes(data[at : at + 2], "little") in (273, 279, 324, 325)]
    for left in (parts - 1, parts // 2):
        damaged = bytearray(data)
        for at in counts:
            assert damaged[at] == parts
            damaged[at] = left
        for read in (read_picture, read_header):
            with pytest.raises(PictureError, match="damaged: strips or tiles of it are missing"):
                read(bytes(damaged))


@pytest.mark.parametrize("kind", FILES)
def test_a_truncated_file_is_refused_wherever_it_ends(kind: str) -> None:
    data, whole = FILES[kind], read_picture(FILES[kind])
    ends = {0, 1, 2, 8, 20, len(data) // 2, len(data) - 13, len(data) - 5}
    ends |= set(random.Random(kind).sample(range(len(data)), 40))
    for end in sorted(ends):
        picture = read_or_refuse(data[:end])
        if isinstance(picture, Picture):
            # Only marks behind the last pixel may be missing.
            assert same(picture, whole), f"{kind}: half a picture from {end} of {len(data)} bytes"
            assert end > len(data) - 40, f"{kind}: {end} of {len(data)} bytes"


@pytest.mark.parametrize("kind", ["png", "png 16"])
def test_every_byte_of_a_png_is_checked(kind: str) -> None:
    data = FILES[kind]
    start = data.index(b"IDAT")
    for at in range(start + 4, len(data) - 12, max(1, (len(data) - start) // 50)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with pytest.raises(PictureError):
            read_picture(bytes(damaged))


def png_of_rows(rows: int, interlaced: bool) -> bytes:
    """A PNG of 16 x 16 grey pixels, its data ending soundly after so many rows of the file."""
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, interlaced)
    # Adam7: rows of 2, 2, 4, 4, 8, 8 and 16 pixels.
    lengths = [2] * 2 + [2] * 2 + [4] * 2 + [4] * 4 + [8] * 4 + [8] * 8 + [16] * 8 if interlaced else [16] * 16
    packed = zlib.compress(b"".join(b"\0" + b"\x80" * length for length in lengths[:rows]))
    chunks = ((b"IHDR", header), (b"IDAT", packed[:9]), (b"IDAT", packed[9:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


@pytest.mark.parametrize(("interlaced", "rows"), [(False, 16), (True, 30)])
def test_a_png_whose_rows_end_early_is_refused(interlaced: bool, rows: int) -> None:
    assert (read_picture(png_of_rows(rows, interlaced)).pixels == 128).all()
    for there in (1, rows // 2, rows - 1):
        with pytest.raises(PictureError, match=r"only \d+% of its pixels are there"):
            read_picture(png_of_rows(there, interlaced))


def test_a_png_whose_pixels_contradict_their_own_checksum_is_refused() -> None:
    rows = zlib.compress(bytes(17 * 16))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0))
    start, end = b"\x89PNG\r\n\x1a\n" + header, png_chunk(b"IEND", b"")
    with pytest.raises(PictureError, match="its pixels are damaged"):
        read_picture(start + png_chunk(b"IDAT", rows[:-1] + bytes([rows[-1] ^ 1])) + end)


def test_what_was_planned_by_another_header_is_not_read() -> None:
    before, after = (encoded(Image.fromarray(photo(height, 90)), "PNG") for height in (60, 61))
    assert read_picture(before, promised=read_header(before)).height == 60
    with pytest.raises(PictureError, match="was changed while it waited for its turn"):
        read_picture(after, promised=read_header(before))


def photo_jpeg(**options: object) -> bytes:
    return encoded(Image.fromarray(photo(96, 144)), "JPEG", quality=90, **options)


def with_zeros(data: bytes, count: int) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(count) + data[middle + count :]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 5}])
def test_half_a_jpeg_with_an_end_is_refused(options: dict[str, object]) -> None:
    data = photo_jpeg(**options)
    for end in (len(data) // 2, len(data) * 9 // 10, len(data) - 20):
        with pytest.raises(PictureError, match="damaged or truncated: Corrupt JPEG data"):
            read_picture(data[:end] + b"\xff\xd9")
    with pytest.raises(PictureError, match="damaged or truncated: Corrupt JPEG data"):
        read_picture(encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG")[:2000] + b"\xff\xd9")


def test_a_jpeg_with_data_left_over_says_so() -> None:
    data = photo_jpeg()
    (note,) = read_picture(data[:-2] + data[-300:-2] + data[-2:]).notes
    assert re.fullmatch(r"may be damaged: 29\d bytes of its data were left over", note)


def test_a_spoilt_jpeg_is_refused_or_says_so() -> None:
    seen = []
    for seed in range(8):
        read = read_or_refuse(with_zeros(photo_jpeg(restart_marker_blocks=9 + seed), 400))
        seen.append(read if isinstance(read, str) else " ".join(read.notes))
    assert [line for line in seen if "damaged" not in line] == []


def sound_jpegs() -> dict[str, bytes]:
    """Sound files of the odder kinds."""
    image, plain = Image.fromarray(photo(96, 144)), photo_jpeg()
    bgr = np.ascontiguousarray(photo(96, 144)[..., ::-1])
    samplings = {"411": 0x411111, "440": 0x121111, "422": 0x211111}
    return {
        "zeros before the end": plain[:-2] + bytes(500) + plain[-2:],
        "a few bytes before the end": plain[:-2] + b"\x7f\x01\x02" + plain[-2:],
        "words behind the end": plain + b"\xff\xd8 more of the camera's " * 40,
        "a second picture": encoded(image, "MPO", save_all=True, append_images=[image]),
        "half a second picture": encoded(image, "MPO", save_all=True, append_images=[image])[:-3000],
        "half a thumbnail": photo_jpeg(exif=exif_with().tobytes() + plain[:3000] + b"\xff\xd9"),
        "restart markers": photo_jpeg(restart_marker_blocks=3),
        "one pixel": encoded(Image.new("RGB", (1, 1)), "JPEG"),
        "RGB": photo_jpeg(keep_rgb=True),
        "CMYK": encoded(image.convert("CMYK"), "JPEG"),
    } | {
        name: cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])[1].tobytes()
        for name, factor in samplings.items()
    }


SOUND_JPEGS = sound_jpegs()


@pytest.mark.parametrize("kind", SOUND_JPEGS)
def test_a_whole_jpeg_is_read_whatever_stands_beside_its_pixels(kind: str) -> None:
    data = SOUND_JPEGS[kind]
    picture = read_picture(data)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(picture.pixels, np.array(image.convert("RGB")))
    assert "damaged" not in " ".join(picture.notes)


@pytest.mark.parametrize("kind", FILES)
def test_fuzzed_bytes_end_in_a_picture_or_in_one_error(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    source = random.Random(kind)
    for _ in range(25):
        damaged = bytearray(FILES[kind])
        for _ in range(source.choice((1, 3, 10))):
            damaged[source.randrange(min(len(damaged), source.choice((64, 400, 10**6))))] = source.randrange(256)
        read_or_refuse(bytes(damaged))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello, I am a text", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "damaged"),
        (b"\xff\xd8\xff", "damaged"),
        (b"GIF89a", "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    for read in (read_header, read_picture):
        with pytest.raises(PictureError, match=words) as caught:
            read(path)
        assert "holiday.jpg" in caught.value.message
        assert caught.value.hint


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "folder"),
        (tmp_path / "absent.png", "No such file"),
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / ("long" * 100), "cannot be read"),
        (tmp_path / "nul\0.png", "nul"),
    ):
        for read in (read_header, read_picture):
            with pytest.raises(PictureError, match=words):
                read(path)


def test_formats_that_are_not_allowed_stay_shut(tmp_path: Path) -> None:
    for file_format in ("ICO", "TGA", "PCX", "SGI", "JPEG2000", "EPS", "IM"):
        path = tmp_path / "a.png"
        Image.fromarray(photo()).save(path, file_format)
        with pytest.raises(PictureError, match="not a picture"):
            read_header(path)


BOMBS = {
    "png": png(60_000, 60_000, 8, 2, b""),
    "png 16": png(2**31 - 1, 2**31 - 1, 16, 6, b""),
    "gif": b"GIF89a" + b"\xff" * 4 + b"\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\0;",
    "bmp": b"BM" + bytes(12) + b"(\0\0\0" + b"\0\0\1\0" * 2 + b"\1\0\x18\0" + bytes(24),
    "ppm": b"P6 60000 60000 255 ",
    "jpeg": b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\0\3\x11\0\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0",
}


def tiff_bomb() -> bytes:
    data = bytearray(encoded(Image.new("RGB", (4, 4)), "TIFF"))
    for tag in (256, 257):
        entry = data.index(tag.to_bytes(2, "little"), 10)
        data[entry + 2 : entry + 4] = b"\x04\x00"
        data[entry + 8 : entry + 12] = (60_000).to_bytes(4, "little")
    return bytes(data)


def webp_bomb() -> bytes:
    body = b"WEBPVP8L" + (10).to_bytes(4, "little") + b"\x2f" + (0xFFFFFFF).to_bytes(4, "little") + bytes(5)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


BOMBS |= {"tiff": tiff_bomb(), "webp": webp_bomb()}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_by_its_header(kind: str) -> None:
    for read in (read_header, read_picture):
        started = time.monotonic()
        with pytest.raises(PictureError, match="over the limit"):
            read(BOMBS[kind], 100_000_000)
        assert time.monotonic() - started < 1


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    data = encoded(Image.new("L", (100, 100)), "PNG")
    assert read_header(data, 10_000).width == 100
    with pytest.raises(PictureError, match="100 x 100 pixels are over the limit"):
        read_header(data, 9_999)


def test_pictures_over_pillows_own_limit_are_read() -> None:
    data = encoded(Image.new("1", (20_000, 10_000)), "PNG")
    assert read_header(data).width == 20_000


def test_bombs_cost_less_than_64_mb(tmp_path: Path) -> None:
    for kind, data in BOMBS.items():
        (tmp_path / kind).write_bytes(data)
    swollen = png(4, 4, 8, 0, bytes(16), {b"tEXt": b"Comment\0" + bytes(80 << 20)})
    (tmp_path / "text").write_bytes(swollen)
    program = """
        import resource, sys
        from pathlib import Path
        from upscale_cli.errors import PictureError
        from upscale_cli.imaging.files import read_header
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in sorted(Path(sys.argv[1]).iterdir()):
            try:
                read_header(path, 100_000_000)
                sys.exit(f"{path} was let through")
            except PictureError:
                pass
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64 * 1024
    assert done.stderr == ""


def test_compressed_text_cannot_swell() -> None:
    import zlib

    body = b"Comment\0\0" + zlib.compress(bytes(17 << 20))
    with pytest.raises(PictureError):
        read_picture(png(4, 4, 8, 0, bytes(16), {b"zTXt": body}))


def test_a_bomb_behind_the_first_frame_costs_nothing() -> None:
    frames = [Image.fromarray(photo(24, 36)).quantize(32), Image.fromarray(photo(24, 36)[::-1]).quantize(32)]
    data = bytearray(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    second = data.index(b",", data.index(b"!\xf9", data.index(b",") + 10))
    data[second + 5 : second + 9] = b"\xff\xff\xff\xff"
    picture = read_picture(bytes(data))
    assert picture.pixels.shape == (24, 36, 3)
    assert picture.notes == ("frame 1 of 2: the others are left out",)


def test_a_tile_larger_than_any_picture_is_refused() -> None:
    with io.BytesIO() as stream:
        import tifffile

        tifffile.imwrite(stream, np.zeros((64, 64), np.uint8), tile=(32, 32))
        data = bytearray(stream.getvalue())
    for tag in (322, 323):
        entry = data.index(tag.to_bytes(2, "little"))
        data[entry + 2 : entry + 12] = b"\x04\0\1\0\0\0" + (65_520).to_bytes(4, "little")
    with pytest.raises(PictureError, match="tiles"):
        read_header(bytes(data))


def test_an_animation_that_promises_a_million_frames_is_refused() -> None:
    data = png(4, 4, 8, 0, bytes(16), {b"acTL": (10**6).to_bytes(4, "big") + bytes(4)})
    with pytest.raises(PictureError, match="1000 frames"):
        read_header(data)


def test_a_chunk_cut_short_is_not_read_past(tmp_path: Path) -> None:
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes(13))[:20] + b"\x7f\xff\xff\xffIDAT"
    with pytest.raises(PictureError):
        read_picture(data)
