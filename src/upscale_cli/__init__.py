"""upscale-cli: upscale real photos from the command line."""

__version__ = "0.1.0"

SOFTWARE = "upscale-cli"
"""What outputs say made them, before the version."""
