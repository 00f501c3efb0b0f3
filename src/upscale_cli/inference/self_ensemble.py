"""The x8 self-ensemble (SRResCycGAN+, section 4.2): the eight flips and quarter turns of a picture, averaged."""

from typing import NamedTuple, TypeVar

from torch import Tensor

from upscale_cli.inference.tiling import Box, Edges, Frame

T = TypeVar("T")


class Symmetry(NamedTuple):
    """An element of the square's symmetry group: mirrored left-right, then top-bottom, then transposed."""

    mirror: bool
    flip: bool
    transpose: bool

    def apply(self, x: Tensor) -> Tensor:
        """The turned copy of (B, 3, H, W)."""
        x = x.flip([axis for axis, wanted in ((3, self.mirror), (2, self.flip)) if wanted])
        return x.transpose(2, 3) if self.transpose else x

    def undo(self, x: Tensor) -> Tensor:
        """The inverse of `apply`."""
        x = x.transpose(2, 3) if self.transpose else x
        return x.flip([axis for axis, wanted in ((3, self.mirror), (2, self.flip)) if wanted])

    def apply_to_frame(self, frame: Frame) -> Frame:
        """The frame of the turned tile."""
        return Frame(*self._sides(frame[:4]), Edges(*self._sides(frame.edges)))

    def undo_box(self, box: Box, height: int, width: int) -> Box:
        """Where a box of the turned copy lies in the picture itself, which is height x width."""
        top, bottom, left, right = (*box[2:], *box[:2]) if self.transpose else box
        if self.mirror:
            left, right = width - right, width - left
        if self.flip:
            top, bottom = height - bottom, height - top
        return Box(top, bottom, left, right)

    def _sides(self, sides: tuple[T, ...]) -> tuple[T, T, T, T]:
        left, right, top, bottom = sides
        if self.mirror:
            left, right = right, left
        if self.flip:
            top, bottom = bottom, top
        return (top, bottom, left, right) if self.transpose else (left, right, top, bottom)


IDENTITY = (Symmetry(False, False, False),)
ALL_EIGHT = tuple(
    Symmetry(mirror, flip, transpose)
    for transpose in (False, True)
    for flip in (False, True)
    for mirror in (False, True)
)
