"""Pictures in and out of files: the door that the other rooms come through."""

from upscale_cli.imaging.atomic import sweep_temporaries
from upscale_cli.imaging.decoding import MAX_PIXELS
from upscale_cli.imaging.formats import SUFFIXES, check_output, format_for
from upscale_cli.imaging.picture import Header, Metadata, Picture
from upscale_cli.imaging.reading import read_header, read_picture
from upscale_cli.imaging.writing import write_picture

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Header",
    "Metadata",
    "Picture",
    "check_output",
    "format_for",
    "read_header",
    "read_picture",
    "sweep_temporaries",
    "write_picture",
]
