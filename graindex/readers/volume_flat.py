"""Voxels one after another in a file, mapped into memory: raw files and MRC.

Out of scope: compressed files.
"""

import math
from typing import Any, Literal, cast

import mrcfile
import numpy as np
import numpy.typing as npt

from graindex.readers.volume_files import LocalFile
from graindex.readers.volume_scale import UNKNOWN, VoxelSize, stated
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    Voxels,
    parse_shape,
    readable_dtype,
    unreadable_on_error,
)
from models.calibrate.readings import Finding

ByteOrder = Literal["little", "big"]

_MRC_HEADER_BYTES = 1024
_MAX_SINGLE_VOLUME_SPACE_GROUP = 400
_IMOD_STAMP = 1146047817
_IMOD_SIGNED_BYTES = 1
_ANGSTROM_UM = 1e-4


class FlatVolume(VolumeSource):
    """Voxels in C order from an offset on."""

    def __init__(
        self, file: LocalFile, *, offset: int, stored: np.dtype[Any], **facts: Any
    ) -> None:
        super().__init__(dtype=stored, **facts)
        self._file = file
        self._voxels: Voxels = np.memmap(
            file.path, dtype=stored, mode="r", offset=offset, shape=self.shape
        )

    def content_sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return self._file.sha256()

    def close(self) -> None:
        """Unmap the file."""
        del self._voxels
        self._voxels = np.empty((0, 0, 0), self.dtype)
        self._file.close()

    def _read(self, z0: int, z1: int) -> Voxels:
        return np.array(self._voxels[z0:z1], dtype=self.dtype)


def open_raw(
    file: LocalFile,
    uri: str,
    name: str,
    *,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    offset: int,
    byte_order: ByteOrder | None,
) -> FlatVolume:
    """Open a file that is nothing but voxels behind `offset` bytes.

    Raises:
        UnreadableVolumeError: the file has another size than the shape and type ask for.
    """
    if len(shape) != 3:
        raise UnreadableVolumeError(
            name, f"the shape {tuple(shape)} has {len(shape)} extents; give Z, Y and X"
        )
    stored = np.dtype(dtype).newbyteorder(">" if byte_order == "big" else "<")
    parse_shape(shape, readable_dtype(stored, name), name)
    if offset < 0:
        raise UnreadableVolumeError(name, f"the offset {offset} is negative")
    expected = math.prod(shape) * stored.itemsize + offset
    found = file.path.stat().st_size
    if found != expected:
        behind = f" behind {offset} bytes" if offset else ""
        raise UnreadableVolumeError(
            name,
            f"{' x '.join(map(str, shape))} voxels (Z, Y, X) of {stored.name}{behind} take "
            f"{expected} bytes, the file has {found}",
        )
    return FlatVolume(
        file,
        offset=offset,
        stored=stored,
        uri=uri,
        name=name,
        format="raw",
        shape=shape,
        voxel_size=UNKNOWN,
    )


def open_mrc(file: LocalFile, uri: str, name: str) -> FlatVolume:
    """Open an MRC2014 file (Cheng et al., J. Struct. Biol. 2015, 192, 146), or IMOD's variant.

    Raises:
        UnreadableVolumeError: truncated, a stack of volumes, of turned axes, or not real.
    """
    size = file.path.stat().st_size
    with unreadable_on_error(name, "MRC header"):
        with mrcfile.open(file.path, header_only=True) as mrc:
            header = mrc.header.copy()
        shape = tuple(int(header[axis]) for axis in ("nz", "ny", "nx"))
        stored = _mrc_dtype(header)
    order = tuple(int(header[axis]) for axis in ("mapc", "mapr", "maps"))
    if order not in {(1, 2, 3), (0, 0, 0)}:
        raise UnreadableVolumeError(
            name, f"the axes are stored in the order {order}, not (1, 2, 3): transpose the map"
        )
    if int(header.ispg) > _MAX_SINGLE_VOLUME_SPACE_GROUP and int(header.mz) != shape[0]:
        raise UnreadableVolumeError(
            name, f"a stack of volumes ({shape[0]} sections in volumes of {int(header.mz)})"
        )
    parse_shape(shape, readable_dtype(stored, name), name)
    offset = _MRC_HEADER_BYTES + max(int(header.nsymbt), 0)
    expected = offset + math.prod(shape) * stored.itemsize
    if size < expected:
        raise UnreadableVolumeError(
            name, f"truncated MRC file: its header asks for {expected} bytes, {size} are there"
        )
    return FlatVolume(
        file,
        offset=offset,
        stored=stored,
        uri=uri,
        name=name,
        format="mrc",
        shape=shape,
        voxel_size=_mrc_voxel_size(header),
    )


def _mrc_dtype(header: Any) -> np.dtype[Any]:
    """Return the type of the voxels; IMOD's bytes are unsigned unless its flag says otherwise."""
    dtype = cast("np.dtype[Any]", mrcfile.utils.data_dtype_from_header(header))
    stamp, flags = np.frombuffer(
        header.extra2.tobytes()[40:48], np.dtype("i4").newbyteorder(header.mode.dtype.byteorder)
    )
    if dtype == np.int8 and stamp == _IMOD_STAMP and not flags & _IMOD_SIGNED_BYTES:
        return np.dtype(np.uint8)
    return dtype


def _mrc_voxel_size(header: Any) -> VoxelSize:
    """Return cell size over sampling, which the header gives in Å; zero where it is not known."""
    cell = [float(header.cella[axis]) for axis in ("z", "y", "x")]
    sampling = [int(header[axis]) for axis in ("mz", "my", "mx")]
    if not any(cell) or min(sampling) < 1:
        return UNKNOWN
    sizes = [length / count for length, count in zip(cell, sampling, strict=True)]
    if all(abs(size - 1) < 1e-6 for size in sizes):
        detail = (
            "the MRC header says 1 Å in every direction, which programs write where nothing is "
            "known; no voxel size is taken"
        )
        return VoxelSize(findings=(Finding("voxel_size_unusable", detail),))
    um = [size * _ANGSTROM_UM for size in sizes]
    # The cell is stored in float32: more digits than its seven are noise.
    return stated([float(f"{size:.7g}") for size in um], "um", "MRC header")
