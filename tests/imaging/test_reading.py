"""Every mode and format is read as what it is, in its own depth."""

import io

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import (
    alpha_ramp,
    deep_photo,
    encoded,
    photo,
    png,
    read,
)
from PIL import Image

from upscale_cli.errors import PictureError
from upscale_cli.imaging.files import read_header, read_picture


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF"])
def test_lossless_rgb_is_read_exactly(file_format: str) -> None:
    image = Image.fromarray(photo())
    options = {"lossless": True} if file_format == "WEBP" else {}
    if file_format == "GIF":
        image = image.quantize(200)
    picture = read(encoded(image, file_format, **options))
    np.testing.assert_array_equal(picture.pixels, np.array(image.convert("RGB")))
    assert picture.alpha is None
    assert picture.notes == ()
    assert picture.metadata.source_format == file_format


@pytest.mark.parametrize("file_format", ["JPEG", "AVIF"])
def test_lossy_rgb_is_read_nearly(file_format: str) -> None:
    picture = read(encoded(Image.fromarray(photo()), file_format, quality=95))
    assert np.abs(picture.pixels.astype(int) - photo()).mean() < 3


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "TIFF", "PPM"])
def test_grey_stays_grey(file_format: str) -> None:
    grey = Image.fromarray(photo()).convert("L")
    picture = read(encoded(grey, file_format))
    assert picture.pixels.shape == (60, 90, 1)
    tolerance = 4 if file_format == "JPEG" else 0
    assert np.abs(picture.pixels[..., 0].astype(int) - np.array(grey)).mean() <= tolerance


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_tiff_of_each_compression(mode: str, compression: str | None) -> None:
    if compression == "tiff_lzw" and mode == "1":
        # The encoder writes no LZW of one bit.
        compression = "group4"
    image = Image.fromarray(np.dstack([photo(), alpha_ramp()])).convert(mode)
    picture = read(encoded(image, "TIFF", compression=compression))
    want = np.atleast_3d(np.array(image.convert({"1": "L", "P": "RGB"}.get(mode, mode))))
    got = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_png_with_alpha(mode: str) -> None:
    image = Image.fromarray(np.dstack([photo(), alpha_ramp()])).convert(mode)
    picture = read(encoded(image, "PNG"))
    np.testing.assert_array_equal(np.dstack([picture.pixels, picture.alpha]), np.array(image))


def test_one_bit_becomes_black_and_white() -> None:
    bits = np.array(Image.fromarray(photo()).convert("1"))
    picture = read(encoded(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(picture.pixels[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize(("depth", "levels"), [(1, [0, 255]), (2, [0, 85, 170, 255]), (4, list(range(0, 256, 17)))])
def test_grey_of_few_bits_with_a_transparent_level(depth: int, levels: list[int]) -> None:
    width, key = len(levels), 1
    packed = int("".join(f"{level:0{depth}b}" for level in range(width)).ljust(-(-width * depth // 8) * 8, "0"), 2)
    rows = packed.to_bytes(-(-width * depth // 8), "big")
    picture = read(png(width, 1, depth, 0, rows, {b"tRNS": key.to_bytes(2, "big")}))
    assert picture.pixels[0, :, 0].tolist() == levels
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [0 if level == key else 255 for level in range(width)]


def test_palette_with_transparency() -> None:
    image = Image.fromarray(photo()).quantize(16)
    data = encoded(image, "PNG", transparency=bytes([0, 128, *[255] * 14]))
    picture = read(data)
    np.testing.assert_array_equal(picture.pixels, np.array(image.convert("RGB")))
    np.testing.assert_array_equal(picture.alpha, np.array([0, 128, *[255] * 14], np.uint8)[np.array(image)])


def test_transparent_gif() -> None:
    image = Image.fromarray(photo()).quantize(16)
    index = np.array(image)
    hidden = int(index[30, 40])
    picture = read(encoded(image, "GIF", transparency=hidden))
    np.testing.assert_array_equal(picture.alpha, np.where(index == hidden, 0, 255))


@pytest.mark.parametrize("key", [(1, 2, 3), (300, 40000, 5)])
def test_transparent_colour_of_rgb(key: tuple[int, int, int]) -> None:
    depth = 16 if max(key) > 255 else 8
    other = tuple(min(value + 1, 255) for value in key)
    rows = b"".join(value.to_bytes(depth // 8, "big") for value in (*key, *other))
    extra = {b"tRNS": b"".join(value.to_bytes(2, "big") for value in key)}
    picture = read(png(2, 1, depth, 2, rows, extra))
    assert picture.bits == depth
    assert picture.pixels[0, 0].tolist() == list(key)
    assert picture.alpha is not None
    assert picture.alpha[0].tolist() == [0, (1 << depth) - 1]


@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (3, 2), (2, 4), (4, 6)])
def test_16_bit_png(channels: int, colour_type: int) -> None:
    samples = np.dstack([deep_photo(), alpha_ramp(dtype=np.uint16)])
    samples = samples if channels == 4 else samples[..., {1: [0], 2: [0, 3], 3: [0, 1, 2]}[channels]]
    # Chunks that a decoder might act upon: none of them may change a sample.
    extra = {b"gAMA": (100000).to_bytes(4, "big"), b"sBIT": bytes([10] * channels)}
    picture = read(png(90, 60, 16, colour_type, samples.astype(">u2").tobytes(), extra))
    assert picture.bits == 16
    got = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    np.testing.assert_array_equal(got, samples)


@pytest.mark.parametrize("compression", [1, 5, 8, 32946])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiff(channels: int, compression: int) -> None:
    samples = np.dstack([deep_photo(), alpha_ramp(dtype=np.uint16)])[..., :channels]
    bgr = samples[..., [2, 1, 0, 3][:channels]] if channels > 1 else samples
    done, data = cv2.imencode(".tif", bgr, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert done
    picture = read(data.tobytes())
    got = picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])
    np.testing.assert_array_equal(got, samples)


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_16_bit_tiff_is_turned_upright_in_its_depth(orientation: int) -> None:
    tag = (274, "H", 1, orientation, True)
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, deep_photo(), photometric="rgb", extratags=[tag])
        picture = read(stream.getvalue())
    turned = {
        1: deep_photo(),
        2: deep_photo()[:, ::-1],
        3: deep_photo()[::-1, ::-1],
        6: np.rot90(deep_photo(), -1),
        8: np.rot90(deep_photo(), 1),
    }
    assert picture.bits == 16
    np.testing.assert_array_equal(picture.pixels, turned[orientation])


@pytest.mark.parametrize("maximum", [65535, 1023])
@pytest.mark.parametrize("magic", ["P5", "P6"])
def test_16_bit_ppm(magic: str, maximum: int) -> None:
    channels = 1 if magic == "P5" else 3
    samples = (deep_photo(channels=channels).astype(np.uint32) * maximum // 65535).astype(np.uint16)
    head = f"{magic}\n# a comment\n90 60\n{maximum}\n".encode()
    picture = read(head + samples.astype(">u2").tobytes())
    assert picture.bits == 16
    want = np.rint(samples * (65535 / maximum))
    assert np.abs(picture.pixels - want).max() <= 1


def test_what_cannot_stay_16_bit_says_so() -> None:
    plain = b"P3\n2 1\n65535\n0 1 2 65535 65534 300\n"
    picture = read(plain)
    assert picture.bits == 8
    assert any("8 bit" in note for note in picture.notes)


def test_white_is_zero_in_some_16_bit_tiffs() -> None:
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, deep_photo(channels=1)[..., 0], photometric="miniswhite")
        picture = read(stream.getvalue())
    np.testing.assert_array_equal(picture.pixels, 65535 - deep_photo(channels=1))


def test_16_bit_tiff_in_planes_is_refused_not_misread() -> None:
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, np.moveaxis(deep_photo(), 2, 0), photometric="rgb", planarconfig="separate")
        with pytest.raises(PictureError, match="planes"):
            read_header(stream.getvalue())


def test_premultiplied_16_bit_tiff_says_that_it_is_read_as_8() -> None:
    alpha = alpha_ramp(dtype=np.uint16)[..., None]
    premultiplied = (deep_photo().astype(np.uint64) * alpha // 65535).astype(np.uint16)
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, np.dstack([premultiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
        picture = read(stream.getvalue())
    assert (picture.bits, picture.alpha is not None) == (8, True)
    assert any("8 bit" in note for note in picture.notes)
    assert np.abs(picture.pixels[:, 60:].astype(int) - (deep_photo()[:, 60:] >> 8)).max() < 4


@pytest.mark.parametrize("samples", [np.zeros((4, 4), np.float32), np.zeros((4, 4), np.int32)])
def test_float_and_32_bit_samples_are_refused(samples: np.ndarray) -> None:
    data = encoded(Image.fromarray(samples), "TIFF")
    for read_it in (read_header, read_picture):
        with pytest.raises(PictureError, match="8 or 16 bit"):
            read_it(data)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.float32, "32 bit floating point"),
        (np.float16, "16 bit floating point"),
        (np.uint32, "32 bit integers"),
    ],
)
def test_colour_that_is_no_8_or_16_bit_integer_is_called_so(dtype: type, words: str, bigtiff: bool) -> None:
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, photo().astype(dtype), photometric="rgb", bigtiff=bigtiff)
        for read_it in (read_header, read_picture):
            with pytest.raises(PictureError, match=rf"its samples \({words}\) are not 8 or 16 bit integers"):
                read_it(stream.getvalue())
