"""Images and volumes from files as arrays that any part can be cut from.

Out of scope: file formats (`graindex.readers`) and what is done with the arrays.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import fsspec
import numpy as np
import numpy.typing as npt
from tifffile import TiffFile, TiffFileError

from graindex.errors import OriginalError
from graindex.originals import content_hash, read_bytes
from graindex.progress import report
from graindex.readers.frame import Limits, UnreadableImageError
from graindex.readers.images import read_frames
from graindex.readers.library_log import captured_log
from graindex.readers.raster import check_complete
from graindex.readers.sniff import sniff
from graindex.readers.volumes import UnreadableVolumeError, VolumeSource, open_volume

IN_MEMORY_BYTES = 1 << 30
"""A larger volume is unpacked into a scratch file and mapped: pages of it come and go as needed."""

_SLAB_BYTES = 64 << 20
_NOT_VOLUMES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".dm3", ".dm4"})
_TIFF = frozenset({".tif", ".tiff"})


@dataclass(frozen=True)
class Raw:
    """How the voxels of a file without a header lie.

    Attributes:
        shape: (Z, Y, X).
        dtype: NumPy name of the type.
        offset: bytes before the first voxel.
    """

    shape: tuple[int, int, int]
    dtype: str
    offset: int = 0


@dataclass(frozen=True)
class Loaded:
    """An image or volume.

    Attributes:
        array: (Y, X) or (Z, Y, X); may be a memory map.
        spacing_um: (dz, dy, dx) as the file states it; None where it does not, and for images.
        sha256: of the content.
        bits_used: bits of a micrograph's pixels that carry the grey scale.
    """

    array: npt.NDArray[Any]
    spacing_um: tuple[float, ...] | None
    sha256: str
    bits_used: int = 8


@contextmanager
def loaded(uri: str, raw: Raw | None = None, *, labels: bool = False) -> Iterator[Loaded]:
    """An image (Y, X) or a volume (Z, Y, X), for as long as the block runs.

    A volume of one slice is an image.

    Args:
        uri: file or folder, or a URL for fsspec.
        raw: how a file without a header is to be read.
        labels: whether values are labels, which nothing may convert.

    Raises:
        UnreadableVolumeError: it holds no usable volume.
        OriginalError: it is gone, may not be read, or is no image.
    """
    if raw is None and _is_image(uri, labels=labels):
        yield _image(uri, labels=labels)
        return
    with (
        _open(uri, raw) as source,
        tempfile.TemporaryDirectory(prefix="graindex-") as scratch,
    ):
        large = np.prod(source.shape) * source.dtype.itemsize > IN_MEMORY_BYTES
        array: npt.NDArray[Any] = (
            np.memmap(Path(scratch) / "voxels", source.dtype, "w+", shape=source.shape)
            if large
            else np.empty(source.shape, source.dtype)
        )
        slice_bytes = int(np.prod(source.shape[1:])) * source.dtype.itemsize
        depth = max(1, _SLAB_BYTES // slice_bytes)
        z = 0
        for slab in source.slabs(depth):
            array[z : z + len(slab)] = slab
            z += len(slab)
            report(f"read {source.name}", z, source.shape[0])
        whole = array[0] if source.shape[0] == 1 else array
        yield Loaded(whole, source.voxel_size_um, source.content_sha256())


def _open(uri: str, raw: Raw | None) -> VolumeSource:
    if raw is None:
        return open_volume(uri)
    return open_volume(uri, shape=raw.shape, dtype=raw.dtype, offset=raw.offset)


def _is_image(uri: str, *, labels: bool) -> bool:
    """Whether a micrograph's reader is the one: a TIFF of one page may be palette or colour."""
    suffix = PurePosixPath(uri).suffix.lower()
    if suffix not in _TIFF or labels:
        return suffix in _NOT_VOLUMES
    try:
        with captured_log(), fsspec.open(uri, "rb") as file, TiffFile(file) as tiff:
            return len(tiff.pages) == 1
    except (OSError, TiffFileError):
        return False  # the reader of volumes says what is wrong


def _image(uri: str, *, labels: bool) -> Loaded:
    try:
        data = read_bytes(uri)
    except OSError as error:
        message = f"{uri} cannot be read: {error.strerror or error}"
        raise OriginalError(message) from error
    name = uri.rsplit("/", 1)[-1]
    try:
        if labels:
            return Loaded(_label_pixels(data, name), None, content_hash(data))
        frame = read_frames(data, name, Limits(min_side_px=1))[0]
    except UnreadableImageError as error:
        raise UnreadableVolumeError(error.name, error.reason) from error
    return Loaded(frame.pixels, None, content_hash(data), frame.bits_used)


def _label_pixels(data: bytes, name: str) -> npt.NDArray[Any]:
    """Values as they are stored: what makes grey of colour would merge labels."""
    image_format = sniff(data, name)
    if image_format in ("jpeg", "png", "bmp"):
        check_complete(data, name, image_format)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise UnreadableVolumeError(name, "no image that holds labels: PNG, BMP or TIFF")
    if pixels.ndim != 2:
        reason = "a colour image: labels are one integer a pixel; save them as 16-bit TIFF"
        raise UnreadableVolumeError(name, reason)
    return np.asarray(pixels)
