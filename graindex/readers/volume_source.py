"""What a volume reader hands over: slices on demand with their voxel size, and its one error.

Out of scope: any file format, and any use of the voxels.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from graindex.errors import GraindexError, OriginalError
from graindex.readers.frame import LIBRARY_ERRORS, UnreadableImageError, one_line
from graindex.readers.volume_scale import VoxelSize
from models.calibrate.readings import Finding

Voxels = npt.NDArray[Any]
Shape = tuple[int, int, int]

MAX_SLICE_BYTES = 1 << 32
"""One slice is the least that can be read; a header that promises more is taken for damage."""


class UnreadableVolumeError(GraindexError, ValueError):
    """Files that hold no usable volume; the message is one line with the file and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = one_line(reason)
        super().__init__(f"{name}: {self.reason}")

    def __reduce__(self) -> tuple[type["UnreadableVolumeError"], tuple[str, str]]:
        return type(self), (self.name, self.reason)


def is_refusal(error: BaseException) -> bool:
    """Whether the system refused, rather than a library that could make nothing of the bytes."""
    return isinstance(error, OSError) and error.errno is not None


@contextmanager
def unreadable_on_error(name: str, what: str) -> Iterator[None]:
    """Turn whatever a library raises inside the block into one of our two errors.

    What the system refuses (gone, no permission, no connection) may work another time and is told
    apart from what the bytes cannot give.

    Args:
        name: the file, for the message.
        what: the thing being read: ``"HDF5 file"``, ``"slice 12"``.

    Raises:
        UnreadableVolumeError: with the library's own message on one line.
        OriginalError: the system did not let the file be read.
    """
    try:
        yield
    except (UnreadableVolumeError, OriginalError):
        raise
    except UnreadableImageError as error:
        raise UnreadableVolumeError(name, error.reason) from error
    except LIBRARY_ERRORS as error:
        if is_refusal(error):
            said = one_line(getattr(error, "strerror", None) or str(error))
            message = f"{name} cannot be read: {said}"
            raise OriginalError(message) from error
        said = one_line(str(error)) or type(error).__name__
        raise UnreadableVolumeError(name, f"damaged or unsupported {what}: {said}") from error


class VolumeSource(ABC):
    """A grey or label volume that is read slice by slice; a context manager.

    Attributes:
        uri: where it lies, for fsspec.
        name: last part of the URI, for messages.
        format: ``tiff``, ``slices``, ``ome-zarr``, ``zarr``, ``hdf5``, ``mrc`` or ``raw``.
        shape: (Z, Y, X).
        dtype: of what `read` returns: unsigned, signed or float, in native byte order.
        voxel_size_um: (dz, dy, dx) as the files state it; None where they do not.
        voxel_size_source: what states it.
        findings: what a person should know about the files.
    """

    def __init__(
        self,
        *,
        uri: str,
        name: str,
        format: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        voxel_size: VoxelSize,
        findings: tuple[Finding, ...] = (),
    ) -> None:
        self.uri = uri
        self.name = name
        self.format = format
        self.dtype = readable_dtype(dtype, name)
        self.shape = parse_shape(shape, self.dtype, name)
        self.voxel_size_um = voxel_size.um
        self.voxel_size_source = voxel_size.source
        self.findings = (*voxel_size.findings, *findings)
        self._nonfinite: npt.NDArray[np.int64] | None = None

    @property
    def nonfinite_voxels(self) -> int:
        """NaN and infinite voxels in the slices read so far; they are passed on as they are."""
        return 0 if self._nonfinite is None else int(self._nonfinite.sum())

    def read(self, z0: int, z1: int) -> Voxels:
        """Read the slices z0 <= z < z1: (z1 - z0, Y, X), a new array.

        Raises:
            UnreadableVolumeError: they are damaged; names the page, slice or chunk.
            OriginalError: the files are gone or may not be read.
            IndexError: they are not within the volume.
        """
        if not 0 <= z0 < z1 <= self.shape[0]:
            message = f"{self.name}: slices {z0} to {z1} of a volume of {self.shape[0]}"
            raise IndexError(message)
        with unreadable_on_error(self.name, f"slices {z0} to {z1 - 1}"):
            voxels = np.ascontiguousarray(self._read(z0, z1), dtype=self.dtype)
        assert voxels.shape == (z1 - z0, *self.shape[1:])
        self._count_nonfinite(voxels, z0)
        return voxels

    def slabs(self, depth: int, start: int = 0) -> Iterator[Voxels]:
        """Read slabs of `depth` slices from slice `start` on; the last one may be thinner.

        No more than one slab is held: aligned with the chunks of what is written, it is read and
        written once.
        """
        for z0 in range(start, self.shape[0], depth):
            yield self.read(z0, min(z0 + depth, self.shape[0]))

    @abstractmethod
    def content_sha256(self) -> str:
        """SHA-256 of the content, streamed.

        Of one file: of its bytes. Of several: over their relative names, sorted, and their bytes.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""

    @abstractmethod
    def _read(self, z0: int, z1: int) -> Voxels:
        """Read slices; may raise whatever the library raises."""

    def _count_nonfinite(self, voxels: Voxels, z0: int) -> None:
        if self.dtype.kind != "f":
            return
        if self._nonfinite is None:
            self._nonfinite = np.zeros(self.shape[0], np.int64)
        for z, plane in enumerate(voxels, start=z0):
            self._nonfinite[z] = plane.size - np.count_nonzero(np.isfinite(plane))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def readable_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """Return the native type that stored voxels are handed over in: booleans as 0 and 1.

    Raises:
        UnreadableVolumeError: they are complex, structured, text or another kind.
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise UnreadableVolumeError(
            name, f"voxels of type {dtype}: only integers and real numbers are read"
        )
    return dtype.newbyteorder("=")


def parse_shape(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Shape:
    """Return a volume's shape as three integers.

    Raises:
        UnreadableVolumeError: an extent is zero or less, or a slice is too large to be one.
    """
    z, y, x = (int(extent) for extent in shape)
    if min(z, y, x) < 1:
        raise UnreadableVolumeError(name, f"empty volume: {z} x {y} x {x} voxels (Z, Y, X)")
    if math.prod((y, x)) * dtype.itemsize > MAX_SLICE_BYTES:
        raise UnreadableVolumeError(
            name, f"slices of {y} x {x} voxels are over the limit of {MAX_SLICE_BYTES >> 30} GiB"
        )
    return z, y, x


def spatial(shape: tuple[int, ...], name: str) -> tuple[tuple[int, ...], Shape]:
    """Return the index of the leading axes, which have one element each, and the last three.

    Raises:
        UnreadableVolumeError: fewer than three axes, or a leading one has several elements.
    """
    if len(shape) < 3 or any(size != 1 for size in shape[:-3]):
        words = " x ".join(map(str, shape)) or "one number"
        raise UnreadableVolumeError(
            name, f"an array of {words}: a volume has the three axes Z, Y and X"
        )
    z, y, x = shape[-3:]
    return (0,) * (len(shape) - 3), (z, y, x)
