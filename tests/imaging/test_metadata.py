"""What comes with the pixels: orientation, EXIF, profiles, resolution, further frames."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from picture_files import (
    cmyk_profile,
    deep_photo,
    encoded,
    exif_with,
    grey_profile,
    photo,
    png,
    png_chunk,
    read,
    srgb_profile,
)
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from upscale_cli.errors import PictureError
from upscale_cli.imaging.files import Metadata, Picture, read_header, read_picture, write_picture


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


def _block(end: str) -> bytes:
    """EXIF by hand, with the types that cameras write and texts that are not ASCII, in UTF-8 and in Latin-1."""
    copyright_, artist, lens = "© Jörg".encode() + b"\0", b"J\xf6rg\0", "Objé\0".encode("latin-1")
    details = {
        ExifTags.Base.MakerNote: (7, bytes(range(9))),
        ExifTags.Base.ShutterSpeedValue: (10, struct.pack(f"{end}2i", 7, 2)),
        ExifTags.Base.LensModel: (2, lens),
        ExifTags.Base.SceneType: (7, b"\1"),
    }

    def directory(entries: dict[int, tuple[int, bytes]], start: int) -> bytes:
        rows, behind, sizes = b"", b"", {2: 1, 4: 4, 7: 1, 10: 8}
        for tag, (kind, value) in sorted(entries.items()):
            place = start + 6 + 12 * len(entries) + len(behind)
            held = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(f"{end}I", place)
            behind += value if len(value) > 4 else b""
            rows += struct.pack(f"{end}HHI", tag, kind, len(value) // sizes[kind]) + held
        return struct.pack(f"{end}H", len(entries)) + rows + bytes(4) + behind

    def first(place: int) -> bytes:
        link = (4, struct.pack(f"{end}I", place))
        return directory({0x8298: (2, copyright_), 0x013B: (2, artist), 0x8769: link}, 8)

    head = b"II*\0" if end == "<" else b"MM\0*"
    place = 8 + len(first(0))
    return head + struct.pack(f"{end}I", 8) + first(place) + directory(details, place)


def _types(data: bytes) -> dict[int, int]:
    """The types of an EXIF block's entries, its details' too."""
    end = "<" if data[:2] == b"II" else ">"

    def walk(place: int) -> dict[int, int]:
        (count,) = struct.unpack_from(f"{end}H", data, place)
        rows = [struct.unpack_from(f"{end}HHII", data, place + 2 + 12 * row) for row in range(count)]
        nested = [walk(value) for tag, _, _, value in rows if tag == 0x8769]
        return {tag: kind for tag, kind, _, _ in rows} | (nested[0] if nested else {})

    return walk(struct.unpack_from(f"{end}I", data, 4)[0])


@pytest.mark.parametrize("end", ["<", ">"])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_texts_of_exif_keep_their_bytes_and_entries_their_types(target: str, end: str) -> None:
    picture = read(encoded(Image.fromarray(photo()), "JPEG", exif=b"Exif\0\0" + _block(end)))
    stream = io.BytesIO()
    write_picture(picture, stream, target, provenance={"Software": "upscale-cli"})
    exif = Image.open(stream).getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    # Pillow reads bytes as Latin-1.
    assert exif[0x8298].encode("latin-1") == "© Jörg".encode()
    assert (exif[0x013B], details[ExifTags.Base.LensModel]) == ("Jörg", "Objé")
    assert details[ExifTags.Base.MakerNote] == bytes(range(9))
    if target == "TIFF":
        kinds = TiffImagePlugin.ImageFileDirectory_v2(stream.getvalue()[:8])
        stream.seek(struct.unpack("<I", stream.getvalue()[4:8])[0])
        kinds.load(stream)
        assert kinds.tagtype[0x8298] == 2
        return
    kinds = _types(
        exif.tobytes()[6:] if target == "AVIF" else Image.open(stream).info["exif"].removeprefix(b"Exif\0\0")
    )
    expected = {0x8298: 2, ExifTags.Base.MakerNote: 7, ExifTags.Base.SceneType: 7, ExifTags.Base.ShutterSpeedValue: 10}
    assert {tag: kinds[tag] for tag in expected} == expected
    assert target == "PNG" or kinds[ExifTags.Base.UserComment] == 7  # a PNG has its own texts for provenance


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


def test_xmp_and_iptc_are_left_out_with_a_word() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    iptc = b"\xff\xed\x00\x22Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x05\x1c\x02\x78\x00\x00\x00"
    plain = encoded(Image.fromarray(photo()), "JPEG")
    assert read(plain).notes == ()
    assert read(encoded(Image.fromarray(photo()), "JPEG", xmp=xmp)).notes == ("XMP left out",)
    assert read(encoded(Image.fromarray(photo()), "WEBP", xmp=xmp)).notes == ("XMP left out",)
    assert read(plain[:2] + iptc + plain[2:]).notes == ("IPTC left out",)


def test_texts_and_comments_are_left_out_with_a_word() -> None:
    image = Image.fromarray(photo())

    def notes_with(**texts: str) -> tuple[str, ...]:
        chunks = PngImagePlugin.PngInfo()
        for key, value in texts.items():
            chunks.add_text(key, value)
        return read(encoded(image, "PNG", pnginfo=chunks)).notes

    assert notes_with(Software="a program") == ()
    assert notes_with(Software="upscale-cli 0.1.0", Scale="4") == ()
    assert notes_with(Software="a program", Copyright="Jane Doe") == ("text left out",)
    assert read(encoded(image, "JPEG", comment=b"Jane Doe")).notes == ("comment left out",)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    assert read(encoded(image, "JPEG", xmp=xmp, comment=b"Jane Doe")).notes == ("XMP and comment left out",)


ADOBE = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
SRGB = struct.pack(">8I", 31269, 32899, 63999, 33001, 30000, 60000, 15000, 5999)
BT2020 = bytes([9, 16, 0, 1])


def gamma(exponent: int) -> bytes:
    return struct.pack(">I", exponent)


def coloured_png(chunks: dict[bytes, bytes]) -> bytes:
    return png(90, 60, 8, 2, photo().tobytes(), chunks)


@pytest.mark.parametrize(
    "chunks",
    [{b"gAMA": gamma(100_000)}, {b"cHRM": ADOBE, b"gAMA": gamma(45_455)}, {b"cICP": BT2020}],
)
def test_what_a_png_says_of_its_colours_goes_on_or_a_note_says_so(chunks: dict[bytes, bytes]) -> None:
    picture = read(coloured_png(chunks))
    assert dict(picture.metadata.png_colour) == chunks
    stream = io.BytesIO()
    assert write_picture(picture, stream, "PNG", keep_metadata=False) == ()
    assert read(stream.getvalue()).metadata.png_colour == picture.metadata.png_colour
    for file_format in ("JPEG", "TIFF", "PPM"):
        (note,) = write_picture(picture, io.BytesIO(), file_format)
        assert f"({', '.join(kind.decode() for kind in chunks)}) left out" in note


@pytest.mark.parametrize(
    "chunks",
    [
        {b"gAMA": gamma(45_455)},
        {b"gAMA": gamma(0)},
        {b"cHRM": SRGB, b"gAMA": gamma(45_454)},
        {b"sRGB": b"\0", b"cHRM": ADOBE, b"gAMA": gamma(100_000)},
        {b"cICP": bytes([1, 13, 0, 1]), b"gAMA": gamma(100_000)},
        {b"iCCP": b"a\0\0" + zlib.compress(srgb_profile()), b"gAMA": gamma(100_000)},
        {b"gAMA": b"short"},
    ],
)
def test_a_png_that_is_srgb_after_all_says_nothing(chunks: dict[bytes, bytes]) -> None:
    picture = read(coloured_png(chunks))
    assert picture.metadata.png_colour == ()
    assert write_picture(picture, io.BytesIO(), "JPEG") == ()


def test_cicp_stands_above_a_profile_and_goes_on_with_it() -> None:
    profile = b"a\0\0" + zlib.compress(srgb_profile())
    stream = io.BytesIO()
    write_picture(read(coloured_png({b"cICP": BT2020, b"iCCP": profile})), stream, "PNG")
    back = read(stream.getvalue()).metadata
    assert (back.icc, back.png_colour) == (srgb_profile(), ((b"cICP", BT2020),))


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


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_with_a_profile_that_leads_nowhere_says_so(file_format: str) -> None:
    cut = cmyk_profile((60, 70, 40))[:400]
    picture = read(encoded(Image.new("CMYK", (9, 7), (0, 200, 200, 40)), file_format, icc_profile=cut))
    assert picture.notes == (
        "CMYK converted to sRGB without its profile, which cannot be used: colours are approximate",
    )
    assert picture.pixels.shape == (7, 9, 3)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_lab_in_separate_planes_is_refused(compression: str | None, tmp_path: Path) -> None:
    path = tmp_path / "planes.tif"
    planes = np.full((3, 8, 9), 120, np.uint8)
    tifffile.imwrite(path, planes, photometric="cielab", planarconfig="separate", compression=compression)
    for reading in (read_header, read_picture):
        with pytest.raises(PictureError, match="its LAB colours lie in separate planes"):
            reading(path)


def test_subsampled_colours_without_compression_are_refused() -> None:
    pixels = np.full((8, 16, 3), 120, np.uint8)
    sound = encoded(Image.fromarray(pixels).convert("YCbCr"), "TIFF")
    assert read(sound).pixels.shape == (8, 16, 3)
    tags = {256: 16, 257: 8, 258: (8, 8, 8), 259: 1, 262: 6, 277: 3, 278: 8, 279: 8 * 16 * 3 // 2, 530: (2, 2)}
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    for tag, value in tags.items():
        directory[tag] = value
    directory[273] = 0  # which Pillow moves behind the directory
    data = b"II*\0\x08\0\0\0" + directory.tobytes(8)
    with pytest.raises(PictureError, match="its colours are subsampled without compression"):
        read(data + bytes(8 * 16 * 3 // 2) + bytes(range(256)) * 8)


@pytest.mark.parametrize(
    ("pixels", "options", "kind"),
    [
        (np.zeros((8, 9, 2), np.uint16), {"extrasamples": ["unassalpha"], "photometric": "minisblack"}, "2 x 16 bits"),
        (np.zeros((8, 9, 5), np.uint8), {"extrasamples": ["unassalpha"], "photometric": "separated"}, "5 x 8 bits"),
    ],
)
def test_a_tiff_of_an_unknown_kind_is_told(pixels: np.ndarray, options: dict, kind: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "odd.tif", pixels, **options)
    with pytest.raises(PictureError, match=rf"odd\.tif: a TIFF of this kind cannot be read \({kind}, photometric"):
        read_header(tmp_path / "odd.tif")


@pytest.mark.parametrize("source", ["PNG", "JPEG", "TIFF"])
def test_a_wide_profile_goes_on_as_far_as_the_format_holds_it(source: str) -> None:
    wide = srgb_profile() + np.random.default_rng(0).bytes(2 << 20)
    wide = struct.pack(">I", len(wide)) + wide[4:]
    picture = read(encoded(Image.fromarray(photo()), source, icc_profile=wide))
    assert picture.metadata.icc == wide
    for target in ("PNG", "JPEG"):
        stream = io.BytesIO()
        assert write_picture(picture, stream, target) == ()
        assert read(stream.getvalue()).metadata.icc == wide


@pytest.mark.parametrize(("target", "limit"), [("PNG", 16 << 20), ("JPEG", 255 * 65_519)])
def test_a_profile_too_wide_for_the_format_is_left_out_with_a_word(target: str, limit: int) -> None:
    wide = srgb_profile() + bytes(limit)
    wide = struct.pack(">I", len(wide)) + wide[4:]
    picture = Picture(photo(), None, Metadata(wide, None, None, "TIFF"))
    stream = io.BytesIO()
    notes = write_picture(picture, stream, target)
    assert notes == (f"colour profile left out, converted to sRGB: over {limit} bytes, more than a {target} holds",)
    assert read(stream.getvalue()).metadata.icc is None


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


def test_a_ratio_is_no_resolution() -> None:
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, photo(), photometric="rgb", resolution=(1, 1), resolutionunit="none")
        assert read(stream.getvalue()).metadata.dpi is None


@pytest.mark.parametrize("file_format", ["TIFF", "JPEG", "MPO", "PNG", "WEBP", "AVIF"])
def test_no_resolution_is_made_up(file_format: str) -> None:
    assert read(encoded(Image.fromarray(photo()), file_format, exif=exif_with())).metadata.dpi is None


@pytest.mark.parametrize("unit", [2, 3])
def test_resolution_of_a_tiff_is_in_its_unit(unit: int) -> None:
    with io.BytesIO() as stream:
        tifffile.imwrite(stream, photo(), photometric="rgb", resolution=(100, 50), resolutionunit=unit)
        per_inch = {2: 1, 3: 2.54}[unit]
        assert read(stream.getvalue()).metadata.dpi == pytest.approx((100 * per_inch, 50 * per_inch))


def test_resolution_of_a_jpeg_in_its_exif_only() -> None:
    exif = exif_with()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution], exif[ExifTags.Base.ResolutionUnit] = 240, 240, 2
    assert read(encoded(Image.fromarray(photo()), "JPEG", exif=exif)).metadata.dpi == (240, 240)


def test_resolution_of_a_format_that_has_it_in_exif_only() -> None:
    exif = exif_with()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution], exif[ExifTags.Base.ResolutionUnit] = 100, 50, 3
    assert read(encoded(Image.fromarray(photo()), "WEBP", exif=exif)).metadata.dpi == (254, 127)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize(("orientation", "upright"), [(3, (200, 100)), (6, (100, 200))])
def test_resolution_is_turned_with_the_picture(file_format: str, orientation: int, upright: tuple[int, int]) -> None:
    exif = exif_with(orientation)
    exif[0x011A], exif[0x011B], exif[0x0128] = 200.0, 100.0, 2
    metadata = read(encoded(Image.fromarray(photo()), file_format, exif=exif, dpi=(200, 100))).metadata
    assert metadata.dpi == pytest.approx(upright, rel=0.01)
    assert metadata.exif is not None
    kept = Image.Exif()
    kept.load(metadata.exif)
    assert (float(kept[0x011A]), float(kept[0x011B])) == pytest.approx(upright)


@pytest.mark.parametrize(("tag", "kind"), [(33723, 7), (34377, 1), (34377, 7)])
def test_iptc_of_a_tiff_is_left_out_with_a_word(tag: int, kind: int) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[tag] = b"8BIM\x04\x04\x00\x00\x00\x00\x00\x05\x1c\x02\x78\x00\x00\x00"
    tags.tagtype[tag] = kind
    assert read(encoded(Image.fromarray(photo()), "TIFF", tiffinfo=tags)).notes == ("IPTC left out",)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    "told",
    [
        png_chunk(b"eXIf", exif_with(6).tobytes()[6:]),
        png_chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
        png_chunk(
            b"zTXt",
            b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n8\n" + exif_with(6).tobytes().hex().encode()),
        ),
    ],
    ids=["EXIF", "XMP", "text"],
)
def test_what_turns_a_png_may_stand_behind_its_pixels(behind: bool, told: bytes) -> None:
    data = png(60, 90, 8, 2, np.ascontiguousarray(np.rot90(photo(), 1)).tobytes())
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    with_exif = data[:at] + told + data[at:]
    header = read_header(with_exif)
    assert (header.width, header.height) == (90, 60)
    np.testing.assert_array_equal(read(with_exif).pixels, photo())


def test_the_header_of_a_png_is_read_without_a_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", loaded.append)
    header = read_header(png(60, 90, 8, 2, bytes(60 * 90 * 3), {b"tEXt": b"Title\0cat"}))
    assert (header.width, header.height) == (60, 90)
    assert loaded == []


@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("provenance", [None, {"Software": "upscale-cli", "Model": "rwsr"}])
def test_the_mark_of_adobe_rgb_goes_on(target: str, provenance: dict[str, str] | None) -> None:
    """Cameras say so in EXIF's interoperability directory, and nowhere else."""
    exif = exif_with()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
    picture = read(encoded(Image.fromarray(photo()), "JPEG", exif=exif))
    with io.BytesIO() as stream:
        write_picture(picture, stream, target, provenance=provenance)
        with Image.open(stream) as image:
            kept = image.getexif()
            assert kept.get_ifd(0xA005) == {1: "R03", 2: b"0100"}
            assert kept.get_ifd(0x8769)[0x829A] == pytest.approx(0.01)


def test_what_exif_says_in_the_first_pictures_pixels_does_not_go_on() -> None:
    exif = exif_with()
    exif.get_ifd(0x8769).update({0x9214: (20, 15, 10, 10), 0xA214: (20, 15), 0xA20E: 900.0, 0xA20F: 900.0, 0xA210: 2})
    with io.BytesIO() as stream:
        write_picture(read(encoded(Image.fromarray(photo()), "JPEG", exif=exif)), stream, "JPEG")
        with Image.open(stream) as image:
            assert image.getexif().get_ifd(0x8769).keys() == {0x829A, 0xA002, 0xA003, 0x9003}


@pytest.mark.parametrize(
    ("primaries", "transfer", "chunks"),
    [
        (1, 13, ()),
        (2, 2, ()),
        (1, 1, ()),
        (12, 13, ((b"cICP", bytes([12, 13, 0, 1])),)),
        (9, 16, ((b"cICP", bytes([9, 16, 0, 1])),)),
    ],
)
def test_what_an_avif_says_of_its_colours_goes_on(
    primaries: int, transfer: int, chunks: tuple[tuple[bytes, bytes], ...]
) -> None:
    data = bytearray(encoded(Image.fromarray(photo()), "AVIF"))
    struct.pack_into(">2H", data, data.index(b"colrnclx") + 8, primaries, transfer)
    picture = read(bytes(data))
    assert picture.metadata.png_colour == chunks
    with io.BytesIO() as stream:
        write_picture(picture, stream, "PNG")
        assert (png_chunk(*chunks[0]) if chunks else b"IDAT") in stream.getvalue()
    with io.BytesIO() as stream:
        notes = write_picture(picture, stream, "JPEG")
        assert len(notes) == len(chunks)


def test_a_resolution_too_fine_for_a_jpeg_is_left_out_with_a_word() -> None:
    picture = Picture(photo(), metadata=Metadata(dpi=(101_600.0, 101_600.0)))
    with io.BytesIO() as stream:
        (note,) = write_picture(picture, stream, "JPEG")
        assert note.startswith("resolution left out: over 65535 dpi")
        with Image.open(stream) as image:
            assert "dpi" not in image.info
