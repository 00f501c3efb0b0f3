"""Opening a file that nobody vouches for: few decoders, hard limits, and one kind of error."""

import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from upscale_cli.errors import PictureError, ResourceError, UpscaleError
from upscale_cli.imaging import png_chunks
from upscale_cli.imaging.frames import count_frames

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "AVIF")
"""What is opened, told by content.  Others of Pillow's decoders start programs, or are little tested."""

MAX_PIXELS = 16383 * 16383
"""268 megapixels: above every camera in use, and 0.8 GB as 8-bit RGB."""

MAX_FILE_BYTES = 4 << 30
MAX_TIFF_TILE_PIXELS = 1 << 24

NEW_SUBFILE_TYPE, DNG_VERSION, TILE_WIDTH, TILE_LENGTH = 254, 50706, 322, 323
BITS_PER_SAMPLE, SAMPLE_FORMAT, FLOAT = 258, 339, 3
SAMPLES_PER_PIXEL, PLANAR_CONFIGURATION, APART = 277, 284, 2
PHOTOMETRIC, YCBCR, STRIP_BYTES, TILE_BYTES = 262, 6, 279, 325
BIGTIFF_STARTS = (b"II+\0", b"MM\0+")
TIFF_STARTS = (b"II*\0", b"MM\0*", *BIGTIFF_STARTS)

# Pillow's own limit warns at 89 megapixels, which telephones exceed; `_check_size` stands in its place.
Image.MAX_IMAGE_PIXELS = None
# Which bounds profiles too; a PNG's text that is not compressed is bounded by `refuse_swollen_chunks`.
PngImagePlugin.MAX_TEXT_CHUNK = png_chunks.MAX_ANCILLARY_BYTES
# What Pillow would warn of is refused or told in a note; a library does not write to the terminal.
warnings.filterwarnings("ignore", module=r"PIL\.")


def name_of(source: Path | bytes) -> str:
    """How messages call the source."""
    text = "the input" if isinstance(source, bytes) else str(source)
    return text if text.isprintable() else repr(text)


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises into a PictureError (ResourceError where memory ran out) that names the file."""
    try:
        yield
    except UpscaleError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{name}: not enough memory to read it", "close other programs") from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise PictureError(f"{name}: is not a picture, or its header is damaged", f"can be read: {known}") from error
    except OSError as error:
        if error.errno is not None:
            raise PictureError(f"{name}: cannot be read: {error.strerror}", "check the path and its rights") from error
        raise _damaged(name, error) from error
    except Exception as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> PictureError:
    # Decoders quote what they found, which may be anything.
    words = "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(error).split()))
    said = words or type(error).__name__
    if said.startswith("unknown raw mode"):
        return PictureError(f"{name}: its samples lie in a way that cannot be read", "save it as RGB of 8 or 16 bits")
    return PictureError(f"{name}: damaged or truncated: {said}", "get a fresh copy of the file")


@contextmanager
def open_stream(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
    """The source's bytes.  Raises PictureError for what is not a regular, non-empty file of at most 4 GiB."""
    with refusing(name):
        # Looked at before it is opened: opening a pipe would wait for a writer.
        size = len(source) if isinstance(source, bytes) else _size_of_file(source, name)
        if size == 0:
            raise PictureError(f"{name}: is empty", "get a fresh copy of the file")
        if size > MAX_FILE_BYTES:
            raise PictureError(f"{name}: has {size} bytes, over the limit of {MAX_FILE_BYTES}")
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            yield stream


def _size_of_file(path: Path, name: str) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise PictureError(f"{name}: is {kind}", "name a picture file")
    return status.st_size


@contextmanager
def open_image(source: Path | bytes, max_pixels: int, name: str) -> Iterator[tuple[ImageFile, int]]:
    """The first picture of the source, header read, no pixel decoded yet, and how many pictures there are.

    Raises PictureError for what is not a picture, is too large, or fails while the caller decodes it.
    """
    with open_stream(source, name) as stream, refusing(name):
        if stream.read(len(png_chunks.SIGNATURE)) == png_chunks.SIGNATURE:
            png_chunks.refuse_swollen_chunks(stream, name)
        stream.seek(0)
        with _opened(stream, name) as image:
            _check_size(image, max_pixels, name)
            frames = count_frames(image, stream, name)
            yield image, frames


def _opened(stream: BinaryIO, name: str) -> ImageFile:
    try:
        return Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError:
        _refuse_tiff_samples(stream, name)
        raise


def _refuse_tiff_samples(stream: BinaryIO, name: str) -> None:
    """Raises PictureError for a TIFF that says what its samples are, and they are none that Pillow reads."""
    stream.seek(0)
    start = stream.read(8)
    if start[:4] not in TIFF_STARTS:
        return
    if start[:4] in BIGTIFF_STARTS:
        start += stream.read(8)
    tags = ImageFileDirectory_v2(start)
    stream.seek(tags.next)
    tags.load(stream)
    bits = max(tags.get(BITS_PER_SAMPLE, (1,)))
    is_float = FLOAT in tags.get(SAMPLE_FORMAT, ())
    if is_float or bits > 16:
        kind = "floating point" if is_float else "integers"
        raise PictureError(
            f"{name}: its samples ({bits} bit {kind}) are not 8 or 16 bit integers", "convert it to 16 bit"
        )
    if BITS_PER_SAMPLE in tags and PHOTOMETRIC in tags:
        samples, meaning = _integer(tags.get(SAMPLES_PER_PIXEL)) or 1, tags[PHOTOMETRIC]
        raise PictureError(
            f"{name}: a TIFF of this kind cannot be read ({samples} x {bits} bits, photometric {meaning})",
            "save it as RGB of 8 or 16 bits",
        )


def _check_size(image: ImageFile, max_pixels: int, name: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError(f"{name}: has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise PictureError(
            f"{name}: {width} x {height} pixels are over the limit of {max_pixels / 1e6:.0f} megapixels",
            "cut it into parts, or make it smaller",
        )
    if image.format == "TIFF":
        _check_tiff(getattr(image, "tag_v2", {}), name)
        _check_strips(image, name)


def _check_tiff(tags: dict[int, object], name: str) -> None:
    tile = _integer(tags.get(TILE_WIDTH)) * _integer(tags.get(TILE_LENGTH))
    if tile > MAX_TIFF_TILE_PIXELS:
        raise PictureError(f"{name}: its tiles have {tile} pixels, over the limit of {MAX_TIFF_TILE_PIXELS}")
    if DNG_VERSION in tags or _integer(tags.get(NEW_SUBFILE_TYPE)) & 1:
        raise PictureError(f"{name}: holds only a preview (a camera's raw file?)", "develop it to a TIFF or PNG first")


def _check_strips(image: ImageFile, name: str) -> None:
    """Raises PictureError where strips or tiles of an uncompressed TIFF are missing: Pillow leaves them black."""
    parts = [part.extents for part in image.tile if part.codec_name == "raw" and part.extents is not None]
    tags = getattr(image, "tag_v2", {})
    stored = tags.get(STRIP_BYTES) or tags.get(TILE_BYTES)
    if parts and tags.get(PHOTOMETRIC) == YCBCR and stored and sum(stored) < 3 * image.width * image.height:
        # Pillow would take them for three values a pixel, and what stands behind them for the rest.
        raise PictureError(f"{name}: its colours are subsampled without compression", "save it as RGB")
    planes = _integer(tags.get(SAMPLES_PER_PIXEL)) if tags.get(PLANAR_CONFIGURATION) == APART else 1
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in parts)
    if parts and covered < image.width * image.height * planes:
        raise PictureError(f"{name}: damaged: strips or tiles of it are missing", "get a fresh copy of the file")


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0
