"""What a reader hands over: one grey frame with its metadata, the limits and the one error.

Out of scope: any file format, and any use of the pixels.
"""

import lzma
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from rsciio.exceptions import ByteOrderError, DM3DataTypeError, DM3TagIDError, DM3TagTypeError
from tifffile import TiffFileError

from models.calibrate.readings import Finding, Reading

ColourMode = Literal["grey", "grey_alpha", "palette", "rgb_grey", "rgb", "rgba", "cmyk"]
"""How the file stores its pixels; `rgb_grey` is RGB whose three channels are equal everywhere."""

GreyPixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]

LIBRARY_ERRORS: tuple[type[BaseException], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    ByteOrderError,
    DM3DataTypeError,
    DM3TagIDError,
    DM3TagTypeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,  # and PIL.UnidentifiedImageError
    RuntimeError,  # and the errors of imagecodecs
    SyntaxError,  # Pillow's word for a broken PNG
    TiffFileError,
    TypeError,
    UnboundLocalError,  # RosettaSciIO on a spoilt DM tag
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)
"""What Pillow, tifffile, imagecodecs and RosettaSciIO were seen to raise on damaged files."""


class UnreadableImageError(ValueError):
    """A file that holds no usable image; the message is one line with the file and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = one_line(reason)
        super().__init__(f"{name}: {self.reason}")

    def __reduce__(self) -> tuple[type["UnreadableImageError"], tuple[str, str]]:
        return type(self), (self.name, self.reason)


class EmptyFrameError(UnreadableImageError):
    """A frame that decodes but carries no image: constant, without a finite pixel, or too small."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader refuses before it decodes anything.

    Attributes:
        max_megapixels: of one frame, in 10⁶ pixels.
        max_total_megapixels: of all frames of one file.
        min_side_px: the shorter side of a frame, in pixels.
    """

    max_megapixels: float = 512
    max_total_megapixels: float = 2048
    min_side_px: int = 16

    def check_side(self, name: str, width: int, height: int) -> None:
        """Refuse a frame too small to show anything.

        Raises:
            EmptyFrameError: a side is shorter than `min_side_px`.
        """
        if min(width, height) < self.min_side_px:
            raise EmptyFrameError(
                name, f"{width} x {height} pixels: a side is under {self.min_side_px} pixels"
            )

    def check_area(self, name: str, width: int, height: int) -> None:
        """Refuse a frame whose header promises too many pixels.

        Raises:
            UnreadableImageError: the frame has more than `max_megapixels`.
        """
        if width * height > self.max_megapixels * 1e6:
            raise UnreadableImageError(
                name,
                f"{width} x {height} pixels are {width * height / 1e6:.0f} megapixels, "
                f"over the limit of {self.max_megapixels:g}",
            )

    def check_total(self, name: str, pixels: int) -> None:
        """Refuse a file whose frames together promise too many pixels.

        Raises:
            UnreadableImageError: the frames have more than `max_total_megapixels` together.
        """
        if pixels > self.max_total_megapixels * 1e6:
            raise UnreadableImageError(
                name,
                f"all frames together are {pixels / 1e6:.0f} megapixels, "
                f"over the limit of {self.max_total_megapixels:g}",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One full-resolution grey image of a file.

    Attributes:
        pixels: (Y, X), uint8 | uint16 | float32; larger is brighter.
        page: position among the file's full-resolution planes, from 0.
        bit_depth: stored bits per sample.
        bits_used: bits that carry the grey scale: 8 for uint8, 32 for float32, and for uint16 what
            the file states, else the smallest of 8, 10, 12, 14, 16 that holds the maximum.
        colour_mode: how the file stores the pixels.
        nonfinite_pixels: NaN and ±inf pixels, replaced by the median of the finite ones.
        readings: acquisition quantities stated inside the file.
        findings: what a person should know about the file.
    """

    pixels: GreyPixels
    page: int
    bit_depth: int
    bits_used: int
    colour_mode: ColourMode
    nonfinite_pixels: int = 0
    readings: tuple[Reading, ...] = ()
    findings: tuple[Finding, ...] = ()


def one_line(text: str, limit: int = 300) -> str:
    """Return `text` with every run of white space and control characters as one blank."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@contextmanager
def unreadable_on_error(name: str, what: str) -> Iterator[None]:
    """Turn whatever an image library raises inside the block into `UnreadableImageError`.

    Args:
        name: the file, for the message.
        what: the thing being read: ``"JPEG"``, ``"TIFF page 3"``.

    Raises:
        UnreadableImageError: with the library's own message on one line.
    """
    try:
        yield
    except UnreadableImageError:
        raise
    except LIBRARY_ERRORS as error:
        said = one_line(str(error)) or type(error).__name__
        raise UnreadableImageError(name, f"damaged or unsupported {what}: {said}") from error
