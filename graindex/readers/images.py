"""The one door for pixels: the bytes of a micrograph file to grey frames.

Out of scope: storage (callers open paths and objects), text beside the image (`sidecars`), and
everything that is read from the pixels themselves (`models.calibrate`).
"""

from typing import BinaryIO

from graindex.readers.digital_micrograph import read_digital_micrograph
from graindex.readers.frame import Frame, Limits, UnreadableImageError
from graindex.readers.raster import read_raster
from graindex.readers.sniff import is_image_name, sniff
from graindex.readers.tiff import read_tiff

__all__ = ["Frame", "Limits", "UnreadableImageError", "is_image_name", "read_frames"]

_DEFAULT_LIMITS = Limits()


def read_frames(data: BinaryIO | bytes, name: str, limits: Limits = _DEFAULT_LIMITS) -> list[Frame]:
    """Read every full-resolution image of a JPEG, PNG, BMP, TIFF, DM3 or DM4 file.

    The format is decided by the content. Safe to call from several threads at once.

    Args:
        data: the file, or a file object at its start.
        name: file name, for messages.
        limits: what to refuse, from the header, before decoding.

    Returns:
        At least one frame, in file order.

    Raises:
        UnreadableImageError: the content is no usable image; one line that says why.
        OSError: `data` is a file object and cannot be read.
    """
    content = data if isinstance(data, bytes) else data.read()
    image_format = sniff(content, name)
    if image_format == "tiff":
        return read_tiff(content, name, limits)
    if image_format in ("dm3", "dm4"):
        return read_digital_micrograph(content, name, image_format, limits)
    return read_raster(content, name, image_format, limits)
