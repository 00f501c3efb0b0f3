"""Every mode and format is read as what it is, upright, in its own depth."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import (
    alpha_ramp,
    cmyk_profile,
    deep_photo,
    encoded,
    exif_with,
    grey_profile,
    photo,
    png,
    srgb_profile,
)
from PIL import ExifTags, Image

from upscale_cli.errors import PictureError
from upscale_cli.imaging.files import Picture, read_header, read_picture


def read(data: bytes) -> Picture:
    """The picture, after checking that its header promised just that."""
    header, picture = read_header(data), read_picture(data)
    assert (header.width, header.height) == (picture.width, picture.height)
    assert (header.bits, header.channels) == (picture.bits, picture.channels)
    assert header.has_alpha == (picture.alpha is not None)
    assert header.notes == picture.notes[: len(header.notes)]
    assert header.format == picture.metadata.source_format
    return picture


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


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(orientation: int, file_format: str) -> None:
    upright = np.zeros((48, 80, 3), np.uint8)
    upright[:24, :40], upright[:24, 40:], upright[24:, :40] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # As a camera held that way stores it: the inverse of what the tag asks for.
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(undo[orientation](upright))
    data = encoded(Image.fromarray(stored), file_format, exif=exif_with(orientation))
    picture = read(data)
    assert picture.pixels.shape == upright.shape
    assert np.abs(picture.pixels.astype(int) - upright).mean() < 6
    assert picture.metadata.exif is not None
    kept = Image.Exif()
    kept.load(picture.metadata.exif)
    assert kept.get(0x0112, 1) == 1
    assert kept[0x0110] == "Model 7"


def test_orientation_of_a_16_bit_png() -> None:
    exif = exif_with(6).tobytes()[6:]
    stored = np.ascontiguousarray(np.rot90(deep_photo(), 1))
    data = png(60, 90, 16, 2, stored.astype(">u2").tobytes(), {b"eXIf": exif})
    np.testing.assert_array_equal(read(data).pixels, deep_photo())


def test_thumbnail_does_not_travel_on() -> None:
    small = encoded(Image.new("RGB", (16, 16), "red"), "JPEG")
    exif = exif_with().tobytes()
    # A second directory with a thumbnail, written by hand behind the first.
    body = bytearray(exif[6:])
    order = "little" if body[:2] == b"II" else "big"
    entries = int.from_bytes(body[8:10], order)
    link = 10 + 12 * entries
    body[link : link + 4] = len(body).to_bytes(4, order)
    start = len(body) + 2 + 24 + 4
    body += (2).to_bytes(2, order)
    for tag, value in ((0x0201, start), (0x0202, len(small))):
        body += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
    data = encoded(Image.fromarray(photo()), "JPEG", exif=b"Exif\0\0" + bytes(body + bytes(4) + small))
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(small)
    picture = read(data)
    assert picture.metadata.exif is not None
    assert small not in picture.metadata.exif
    kept = Image.Exif()
    kept.load(picture.metadata.exif)
    assert not kept.get_ifd(ExifTags.IFD.IFD1)


def test_damaged_exif_costs_the_exif_only() -> None:
    exif = bytearray(exif_with(6).tobytes())
    exif[6 + 8 : 6 + 10] = b"\xff\xff"
    data = encoded(Image.fromarray(photo()), "JPEG", exif=bytes(exif))
    picture = read_picture(data)
    assert picture.pixels.shape[2] == 3


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(file_format: str) -> None:
    inks = np.zeros((16, 24, 4), np.uint8)
    inks[:, 8:16, 3] = 255
    inks[:, 16:, 0] = 255
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    image = Image.frombytes("CMYK", (24, 16), inks.tobytes())
    red_ink = cmyk_profile((60, 70, 40))
    picture = read(encoded(image, file_format, icc_profile=red_ink, **options))
    assert picture.pixels[4, 3].min() > 245
    assert picture.pixels[4, 12].max() < 12
    red, green, _ = picture.pixels[4, 20].astype(int)
    assert red - green > 100, "the profile calls the first ink red"
    assert picture.metadata.icc is None
    assert picture.notes == ("CMYK converted to sRGB through its profile",)


def test_cmyk_without_a_profile_says_so() -> None:
    picture = read(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert picture.pixels[4, 4, 0] > 240
    assert picture.pixels[4, 4, 1:].max() < 15
    assert "without a profile" in picture.notes[0]


def test_lab_becomes_srgb() -> None:
    picture = read(encoded(Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF"))
    assert picture.pixels.min() > 250
    assert picture.notes == ("LAB converted to sRGB",)


def test_a_profile_is_kept_only_for_its_own_channels() -> None:
    rgb, grey = Image.fromarray(photo()), Image.fromarray(photo()).convert("L")
    assert read(encoded(rgb, "PNG", icc_profile=srgb_profile())).metadata.icc == srgb_profile()
    assert read(encoded(grey, "PNG", icc_profile=grey_profile(1.8))).metadata.icc == grey_profile(1.8)
    for image, profile in ((rgb, grey_profile(1.8)), (grey, srgb_profile()), (rgb, b"no profile" * 20)):
        picture = read_picture(encoded(image, "PNG", icc_profile=profile))
        assert picture.metadata.icc is None
        assert any("profile" in note for note in picture.notes)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "TIFF", "WEBP", "MPO", "AVIF"])
def test_the_first_of_several_frames_with_a_word(file_format: str) -> None:
    frames = [Image.fromarray(np.roll(photo(), 9 * at, axis=1)) for at in range(3)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    header, picture = read_header(data), read(data)
    assert header.frames == 3
    assert picture.notes[0].startswith("frame 1 of 3")
    assert np.abs(picture.pixels.astype(int) - photo()).mean() < 12


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "PNG"])
def test_more_than_a_thousand_frames_are_refused(file_format: str) -> None:
    frames = [Image.new("L", (2, 2), at % 256) for at in range(1001)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match="1000 frames"):
        read_header(data)


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(Image.fromarray(photo()), "PNG"))
    assert read_header(path).format == "PNG"
    np.testing.assert_array_equal(read_picture(path).pixels, photo())


@pytest.mark.parametrize(("file_format", "dpi"), [("PNG", 300), ("JPEG", 300), ("TIFF", 300), ("BMP", 300)])
def test_resolution_is_read(file_format: str, dpi: int) -> None:
    picture = read(encoded(Image.fromarray(photo()), file_format, dpi=(dpi, dpi)))
    assert picture.metadata.dpi == pytest.approx((dpi, dpi), abs=0.02)


def test_camera_raw_files_are_not_mistaken_for_their_preview() -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[254] = 1
    with pytest.raises(PictureError, match="preview"):
        read_header(encoded(Image.fromarray(photo()), "TIFF", tiffinfo=tags))
