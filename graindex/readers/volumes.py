"""The one door for volumes: a file, folder or URL to slices on demand.

Formats by their content: multi-page TIFF (ImageJ, OME, BigTIFF), folder of slices, OME-Zarr, Zarr,
HDF5, MRC; raw voxels where their shape and type are given.
Out of scope: storage of what is read (`graindex.volume_store`), and single images (`images`).
"""

from pathlib import Path
from typing import Any

import numpy.typing as npt
from fsspec.implementations.local import LocalFileSystem

from graindex.errors import OriginalError
from graindex.readers.frame import UnreadableImageError
from graindex.readers.sniff import sniff
from graindex.readers.volume_files import LocalFile, locate
from graindex.readers.volume_flat import ByteOrder, open_mrc, open_raw
from graindex.readers.volume_hdf5 import open_hdf5
from graindex.readers.volume_slices import SliceFolder
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    unreadable_on_error,
)
from graindex.readers.volume_tiff import open_tiff
from graindex.readers.zarr_files import METADATA_FILES

__all__ = ["UnreadableVolumeError", "VolumeSource", "open_volume"]

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_STARTS = (0, 512, 1024, 2048)
"""Where the superblock may stand behind a user block; HDF5 file format 3.0, section II.A."""
_MRC_MAGIC_AT = 208
_MRC_MAGIC = b"MAP"
_HEAD_BYTES = 4096
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2"}


def open_volume(
    uri: str | Path,
    *,
    shape: tuple[int, int, int] | None = None,
    dtype: npt.DTypeLike | None = None,
    offset: int = 0,
    byte_order: ByteOrder | None = None,
    dataset_path: str | None = None,
) -> VolumeSource:
    """Open a volume; no voxel is read yet. To be closed, or used as a context manager.

    A folder of slices is ordered by the number in their names. A single file behind a URL is
    fetched into a temporary file first.

    Args:
        uri: file or folder, or a URL for fsspec.
        shape: (Z, Y, X) of raw voxels; where given, the file is read as such.
        dtype: of raw voxels.
        offset: bytes before the first raw voxel.
        byte_order: of raw voxels; little by default.
        dataset_path: dataset of an HDF5 file, or array or group of a Zarr, where there are several.

    Raises:
        UnreadableVolumeError: it holds no usable volume; one line that says why.
        OriginalError: it is gone or may not be read.
    """
    address = str(uri)
    try:
        fs, path, name = locate(address)
    except (ImportError, ValueError) as error:
        message = f"{address} cannot be opened: {error}"
        raise OriginalError(message) from error
    with unreadable_on_error(name, "location"):
        if any(fs.exists(f"{path}/{member}") for member in METADATA_FILES):
            from graindex.readers.volume_zarr import open_zarr  # noqa: PLC0415 (half a second)

            return open_zarr(address, name, dataset_path)
        if not fs.exists(path):
            message = f"{address} is not there"
            raise OriginalError(message)
        if fs.isdir(path):
            return _open_folder(fs, path, address, name)
        file = LocalFile(fs, path)
        try:
            if shape is not None:
                if dtype is None:
                    raise UnreadableVolumeError(name, "raw voxels need a dtype beside the shape")
                return open_raw(
                    file,
                    address,
                    name,
                    shape=shape,
                    dtype=dtype,
                    offset=offset,
                    byte_order=byte_order,
                )
            return _open_file(file, address, name, dataset_path)
        except BaseException:
            file.close()
            raise


def _open_folder(fs: Any, path: str, uri: str, name: str) -> VolumeSource:
    if name.endswith(".zarr"):
        raise UnreadableVolumeError(name, f"a .zarr without any of {', '.join(METADATA_FILES)}")
    folder = SliceFolder(fs, path, uri, name)
    if isinstance(fs, LocalFileSystem):  # elsewhere each header costs a request
        folder.check_headers()
    return folder


def _open_file(file: LocalFile, uri: str, name: str, dataset_path: str | None) -> VolumeSource:
    with file.path.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    if any(head[at : at + len(_HDF5_MAGIC)] == _HDF5_MAGIC for at in _HDF5_STARTS):
        return open_hdf5(file, uri, name, dataset_path)
    if head[_MRC_MAGIC_AT : _MRC_MAGIC_AT + len(_MRC_MAGIC)] == _MRC_MAGIC:
        return open_mrc(file, uri, name)
    kind = _kind(head, name)
    if kind != "tiff":
        raise UnreadableVolumeError(
            name, f"one {kind.upper()} image, not a volume; give the folder of slices"
        )
    return open_tiff(file, uri, name)


def _kind(head: bytes, name: str) -> str:
    for magic, what in _COMPRESSED.items():
        if head.startswith(magic):
            raise UnreadableVolumeError(name, f"compressed with {what}: unpack it first")
    try:
        return sniff(head, name)
    except UnreadableImageError as error:
        reason = error.reason.replace("not an image that can be read", "not a volume")
        hint = "; raw voxels need their shape and dtype" if head else ""
        raise UnreadableVolumeError(name, f"{reason}{hint}") from error
