"""What is written is read again as it was, or the loss was announced."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from picture_files import (
    adobe_rgb_profile,
    alpha_ramp,
    deep_photo,
    encoded,
    exif_with,
    grey_profile,
    photo,
    srgb_profile,
)
from PIL import ExifTags, Image

from upscale_cli.errors import PictureError, UsageError
from upscale_cli.imaging.files import Metadata, Picture, check_output, read_picture, write_picture

FORMATS = ("PNG", "TIFF", "PPM", "BMP", "WEBP", "AVIF", "JPEG")


def a_picture(bits: int, channels: int, alpha: bool, metadata: Metadata | None = None) -> Picture:
    pixels = deep_photo() if bits == 16 else photo()
    transparency = alpha_ramp(dtype=pixels.dtype.type) if alpha else None
    return Picture(np.ascontiguousarray(pixels[..., :channels]), transparency, metadata or Metadata())


def written(picture: Picture, file_format: str, **options: object) -> bytes:
    with io.BytesIO() as stream:
        write_picture(picture, stream, file_format, **options)
        return stream.getvalue()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(("bits", "channels", "alpha"), list(itertools.product((8, 16), (1, 3), (False, True))))
def test_round_trip(bits: int, channels: int, alpha: bool, file_format: str) -> None:
    picture = a_picture(bits, channels, alpha)
    asked = {"bits": bits, "has_alpha": alpha, "channels": picture.channels}
    if alpha and file_format in ("JPEG", "BMP", "PPM"):
        with pytest.raises(UsageError, match="cannot hold transparency"):
            check_output(file_format, 90, 60, **asked)
        with pytest.raises(UsageError, match="cannot hold transparency"):
            written(picture, file_format)
        return
    notes = " ".join(check_output(file_format, 90, 60, **asked))
    quality = {"WEBP": 100, "JPEG": 100, "AVIF": 100}.get(file_format)
    back = read_picture(written(picture, file_format, quality=quality))
    assert (back.bits == bits) != ("8 bit" in notes)
    assert (back.channels == picture.channels) != ("RGB" in notes)
    want = picture.pixels if back.bits == bits else np.rint(picture.pixels / 257)
    want = np.broadcast_to(want, back.pixels.shape)
    difference = np.abs(back.pixels.astype(float) - want)
    assert difference.max() <= {"JPEG": 8, "AVIF": 8}.get(file_format, 0)
    assert (back.alpha is not None) == alpha
    if alpha:
        want_alpha = picture.alpha if back.bits == bits else np.rint(picture.alpha / 257)
        np.testing.assert_allclose(back.alpha, want_alpha, atol=1 if file_format == "AVIF" else 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (3, 5000), (3000, 2)])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM", "BMP"])
def test_odd_sizes(file_format: str, size: tuple[int, int]) -> None:
    width, height = size
    samples = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    np.testing.assert_array_equal(read_picture(written(Picture(samples), file_format)).pixels, samples)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_picture_of_many_bands_is_whole(file_format: str) -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (1500, 1700, 3)).astype(np.uint16)
    np.testing.assert_array_equal(read_picture(written(Picture(samples), file_format)).pixels, samples)


def test_png_is_about_as_small_as_pillows() -> None:
    picture = Picture(photo(300, 450))
    assert len(written(picture, "PNG")) < 1.1 * len(encoded(Image.fromarray(picture.pixels), "PNG"))


@pytest.mark.parametrize(("file_format", "most"), [("JPEG", 3), ("WEBP", 4), ("AVIF", 3)])
def test_default_quality_is_high(file_format: str, most: float) -> None:
    back = read_picture(written(Picture(photo()), file_format))
    assert np.abs(back.pixels.astype(int) - photo()).mean() < most


def test_jpeg_keeps_full_colour_resolution() -> None:
    from PIL import JpegImagePlugin

    with Image.open(io.BytesIO(written(Picture(photo()), "JPEG"))) as image:
        assert JpegImagePlugin.get_sampling(image) == 0


def test_colours_under_transparent_pixels_survive_webp() -> None:
    picture = Picture(photo(), np.zeros((60, 90), np.uint8))
    np.testing.assert_array_equal(read_picture(written(picture, "WEBP", quality=100)).pixels, photo())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_profile_resolution_and_exif_are_kept(file_format: str, bits: int) -> None:
    source = read_picture(encoded(Image.fromarray(photo(15, 20)), "JPEG", exif=exif_with(6), dpi=(300, 300)))
    assert source.metadata.dpi == (300, 300)
    metadata = Metadata(srgb_profile(), source.metadata.exif, source.metadata.dpi, "JPEG")
    data = written(a_picture(bits, 3, False, metadata), file_format)
    back = read_picture(data)
    assert back.metadata.icc == srgb_profile()
    assert back.metadata.dpi == pytest.approx((300, 300), abs=0.02)
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        assert exif[ExifTags.Base.Model] == "Model 7"
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert (details[0xA002], details[0xA003]) == (90, 60), "the size of the new picture"
        assert float(details[0x829A]) == pytest.approx(0.01)
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert not exif.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_provenance_is_written_and_leaves_the_photographers_words(file_format: str) -> None:
    exif = exif_with()
    exif[ExifTags.Base.ImageDescription] = "Grandmother"
    source = read_picture(encoded(Image.fromarray(photo()), "JPEG", exif=exif))
    provenance = {"Software": "upscale-cli 1.2", "Model": "some-model", "Scale": "4"}
    data = written(Picture(photo(), None, source.metadata), file_format, provenance=provenance)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        exif = image.getexif()
        assert exif[ExifTags.Base.ImageDescription] == "Grandmother"
        if file_format == "PNG":
            assert {key: image.text[key] for key in provenance} == provenance
        else:
            assert exif[ExifTags.Base.Software] == "upscale-cli 1.2"
            assert b'"Model": "some-model"' in exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]


@pytest.mark.parametrize("file_format", FORMATS)
def test_without_metadata_only_colour_and_resolution_are_written(file_format: str) -> None:
    source = read_picture(encoded(Image.fromarray(photo()), "JPEG", exif=exif_with()))
    metadata = Metadata(srgb_profile(), source.metadata.exif, (300, 300), "JPEG")
    data = written(Picture(photo(), None, metadata), file_format, provenance={"Software": "me"}, keep_metadata=False)
    assert b"Model 7" not in data
    assert b"Software" not in data
    back = read_picture(data)
    assert back.metadata.icc == (srgb_profile() if file_format not in ("PPM", "BMP") else None)
    if file_format != "TIFF":
        assert back.metadata.exif is None


def test_what_the_format_leaves_out_is_said() -> None:
    source = read_picture(encoded(Image.fromarray(photo()), "JPEG", exif=exif_with(), dpi=(300, 300)))
    metadata = Metadata(srgb_profile(), source.metadata.exif, (300, 300), "JPEG")
    notes = write_picture(Picture(photo(), None, metadata), io.BytesIO(), "PPM")
    assert [note.split(" left out")[0] for note in notes] == ["colour profile", "resolution", "EXIF"]
    assert write_picture(Picture(photo(), None, metadata), io.BytesIO(), "PNG") == ()


def test_grey_with_its_profile_becomes_srgb_where_grey_cannot_be() -> None:
    grey = np.full((20, 20, 1), 128, np.uint8)
    linear = Picture(grey, None, Metadata(icc=grey_profile(1.0)))
    back = read_picture(written(linear, "WEBP", quality=100))
    assert back.metadata.icc is None
    # Half of the light is level 188 of sRGB.
    assert np.abs(back.pixels.astype(int) - 188).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("file_format", ["BMP", "PPM"])
def test_colours_become_srgb_where_no_profile_can_be(file_format: str, bits: int) -> None:
    # Adobe RGB's levels of the sRGB colours, by the matrices of both.
    in_adobe = {(200, 100, 50): (177, 100, 56), (60, 160, 70): (102, 159, 78), (128, 128, 128): (127, 127, 127)}
    pixels = np.array([list(in_adobe.values())], np.uint8)
    pixels = pixels if bits == 8 else pixels.astype(np.uint16) * 257
    stream = io.BytesIO()
    notes = write_picture(Picture(pixels, None, Metadata(icc=adobe_rgb_profile())), stream, file_format)
    back = read_picture(stream.getvalue())
    if back.bits == 16:
        assert notes == ("colour profile left out: PPM holds none",)
        np.testing.assert_array_equal(back.pixels, pixels)
    else:
        assert notes == (f"colour profile left out, converted to sRGB: {file_format} holds none",)
        assert np.abs(back.pixels.astype(int) - np.array([list(in_adobe)])).max() <= 2


@pytest.mark.parametrize("file_format", ["BMP", "PPM"])
def test_grey_becomes_srgb_grey_where_no_profile_can_be(file_format: str) -> None:
    linear = Picture(np.full((20, 20, 1), 128, np.uint8), None, Metadata(icc=grey_profile(1.0)))
    back = read_picture(written(linear, file_format))
    assert back.channels == "grey"
    assert np.abs(back.pixels.astype(int) - 188).max() <= 2


@pytest.mark.parametrize("file_format", ["WEBP", "BMP"])
def test_a_profile_that_leads_nowhere_does_not_cost_the_picture(file_format: str) -> None:
    grey = Picture(photo()[..., :1].copy(), None, Metadata(icc=grey_profile(1.8).replace(b"kTRC", b"none")))
    stream = io.BytesIO()
    (note,) = write_picture(grey, stream, file_format, quality=100 if file_format == "WEBP" else None)
    assert "colour profile left out: " in note
    np.testing.assert_array_equal(read_picture(stream.getvalue()).pixels[..., :1], grey.pixels)


def test_more_exif_than_a_jpeg_holds_is_left_out_with_a_word() -> None:
    exif = exif_with()
    exif.get_ifd(ExifTags.IFD.Exif)[0x927C] = bytes(range(256)) * 300
    metadata = Metadata(exif=exif.tobytes())
    stream = io.BytesIO()
    notes = write_picture(Picture(photo(), None, metadata), stream, "JPEG", provenance={"Software": "me"})
    assert "more than a JPEG holds" in notes[0]
    with Image.open(stream) as image:
        assert image.getexif()[ExifTags.Base.Software] == "me"


def test_a_damaged_exif_block_does_not_cost_the_picture() -> None:
    metadata = Metadata(exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 30)
    back = read_picture(written(Picture(photo(), None, metadata), "PNG"))
    np.testing.assert_array_equal(back.pixels, photo())


def test_a_path_and_a_stream_get_the_same_bytes(tmp_path: Path) -> None:
    for file_format in FORMATS:
        write_picture(Picture(photo()), tmp_path / "a", file_format)
        assert (tmp_path / "a").read_bytes() == written(Picture(photo()), file_format)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_pipe_will_do(file_format: str) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    write_picture(Picture(photo()), pipe, file_format, quality=100)
    assert read_picture(pipe.getvalue()).pixels.shape == (60, 90, 3)


def test_an_encoder_that_fails_is_a_picture_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("encoder error -2 when writing image file")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(PictureError, match="JPEG encoder failed"):
        write_picture(Picture(photo()), io.BytesIO(), "JPEG")


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG"])
def test_no_resolution_is_written_that_was_not_read(file_format: str) -> None:
    source = read_picture(encoded(Image.fromarray(photo()), "TIFF"))
    data = written(Picture(photo(), None, source.metadata), file_format, provenance={"Software": "me"})
    assert read_picture(data).metadata.dpi is None
