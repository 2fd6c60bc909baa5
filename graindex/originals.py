"""Originals as bytes and as pixels, wherever they lie; what was catalogued is what is read.

Out of scope: deciding what is in them (`graindex.examine`).
"""

import hashlib
from collections.abc import Mapping

import cv2
import fsspec
import numpy as np
import numpy.typing as npt

from graindex.errors import OriginalError
from graindex.readers.frame import Limits
from graindex.readers.images import read_frames
from models.measure.grey import to_uint8

Grey8 = npt.NDArray[np.uint8]


def read_bytes(uri: str) -> bytes:
    """All bytes of an original.

    Raises:
        OSError: it is gone or may not be read.
    """
    fs, path = fsspec.core.url_to_fs(uri)
    data: bytes = fs.cat_file(path)
    return data


def content_hash(data: bytes) -> str:
    """SHA-256 of an original's bytes."""
    return hashlib.sha256(data).hexdigest()


def load_content(row: Mapping[str, object], limits: Limits) -> Grey8:
    """Pixels of a catalogued image inside its content box: (Y, X) uint8, databar left out.

    Args:
        row: its row of the table `micrographs`.
        limits: what readers refuse.

    Raises:
        OriginalError: the file is gone, unreadable, or not the one that was catalogued.
    """
    uri = str(row["uri"])
    try:
        data = read_bytes(uri)
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise OriginalError(message) from error
    if content_hash(data) != row["content_hash"]:
        message = f"{uri} changed since it was catalogued; materialise micrographs again"
        raise OriginalError(message)
    x0, y0, x1, y1 = (int(str(row[f"content_{edge}_px"])) for edge in ("x0", "y0", "x1", "y1"))
    return np.ascontiguousarray(_decode(data, row, limits)[y0:y1, x0:x1])


def _decode(data: bytes, row: Mapping[str, object], limits: Limits) -> Grey8:
    if row["file_format"] == "jpeg" and row["colour_mode"] in {"grey", "rgb_grey", "rgb"}:
        # The reader takes the luma plane as it is stored; decoding it alone takes half the time.
        # Only a JPEG that is coded in RGB has none, and may differ by one grey level.
        flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
        plane = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if plane is not None:
            return np.asarray(plane, np.uint8)
    frames = read_frames(data, str(row["path"]), limits)
    frame = next(frame for frame in frames if frame.page == row["page"])
    return to_uint8(frame.pixels, frame.bits_used)
