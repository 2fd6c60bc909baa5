"""Volumes kept in chunks below the store's data: OME-Zarr 0.5, one resolution.

Chunks are compressed with Blosc and Zstandard and end with a CRC-32C. Without one, damage goes
unnoticed: of 2739 bits flipped in a chunk of Zarr's default codec, 2004 gave wrong voxels and no
error (zarr 3.1.6).

A volume in a folder is written aside under a `.part` name and moved when whole. Object stores
cannot move a folder at once; there the metadata of the root, without which nothing is found, are
written last. Either way a killed writer leaves nothing to be found, and the next one goes on from
its last slab.

Out of scope: reading foreign files (`graindex.readers.volumes`), and lower resolutions.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import zarr
from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

from graindex.errors import OriginalError
from graindex.files import Stored, modified_at, remove_old
from graindex.location import Location
from graindex.readers.frame import LIBRARY_ERRORS
from graindex.readers.volume_chunks import bounding_box
from graindex.readers.volume_files import locate
from graindex.readers.volume_scale import VoxelSize
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    Voxels,
    is_refusal,
    parse_shape,
    readable_dtype,
    unreadable_on_error,
)
from graindex.readers.volume_zarr import ZarrVolume, damaged_chunk, open_zarr, zarr_store
from graindex.volume_slabs import aligned, behind, chunk_shape
from graindex.volume_unfinished import Declaration, UnfinishedVolume, refusals_of_the_home

Slabs = Iterable[Voxels] | Callable[[int], Iterable[Voxels]]
"""Slabs along z from the first slice on, or a function that gives them from any slice on."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SUFFIX = ".ome.zarr"
_BESIDE = "beside"  # attribute: names of the arrays that belong to a volume


class StoredVolume(ZarrVolume):
    """A volume of the store, sliced like an array: only the chunks asked for are read.

    Attributes:
        chunks: extents of a chunk.
        attributes: what was kept beside the voxels.
    """

    def __init__(self, opened: ZarrVolume, attributes: dict[str, Any]) -> None:
        size = VoxelSize(opened.voxel_size_um, opened.voxel_size_source, opened.findings)
        super().__init__(opened.array, size, opened.format, opened.uri, opened.name)
        self.chunks = cast("tuple[int, int, int]", opened.array.chunks)
        self.attributes = attributes

    @property
    def ndim(self) -> int:
        """Three."""
        return 3

    def __getitem__(self, selection: Any) -> Voxels:
        """Read a box: integers, slices, an ellipsis.

        Raises:
            UnreadableVolumeError: a chunk is damaged; names it.
            OriginalError: the system does not let a chunk be read.
            IndexError: the selection is outside.
        """
        try:
            return np.asarray(self.array[selection])
        except LIBRARY_ERRORS as error:
            damage = damaged_chunk(self.array, bounding_box(selection, self.shape), self.name)
            if damage is not None:
                raise damage from error
            if not is_refusal(error):
                raise
            message = f"{self.name} cannot be read: {getattr(error, 'strerror', None) or error}"
            raise OriginalError(message) from error

    def beside(self, name: str) -> npt.NDArray[Any] | None:
        """An array that was kept beside the voxels; None where none of this name was.

        Raises:
            UnreadableVolumeError: it is damaged or gone.
        """
        if name not in self.attributes.get(_BESIDE, ()):
            return None
        with unreadable_on_error(self.name, f"array {name}"):
            opened = zarr.open_array(zarr_store(f"{self.uri}/{name}", read_only=True), mode="r")
            if opened.nchunks != opened.nchunks_initialized:
                raise UnreadableVolumeError(self.name, f"array {name} has lost its values")
            return np.asarray(opened[...])


class VolumeStore:
    """Volumes by kind and key below the store's data; a key says all that the voxels depend on."""

    def __init__(self, location: Location) -> None:
        self._base = location.under("volumes")
        self._fs, self._root, _ = locate(self._base)
        self._local = isinstance(self._fs, LocalFileSystem)

    def address(self, kind: str, key: str) -> str:
        """Where the volume lies, or would."""
        return f"{self._base}/{self._relative(kind, key)}"

    def has(self, kind: str, key: str) -> bool:
        """Whether the volume is there, whole."""
        self._fs.invalidate_cache()
        return bool(self._fs.exists(f"{self._path(kind, key)}/zarr.json"))

    def put(
        self,
        kind: str,
        key: str,
        slabs: Slabs,
        *,
        shape: tuple[int, int, int],
        dtype: npt.DTypeLike,
        voxel_size_um: tuple[float, float, float] | None,
        attributes: Mapping[str, object],
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Keep a volume; one of this kind and key that is already there is not written again.

        After a kill or an interrupt the same call goes on behind the last whole slab, if shape,
        type, voxel size and attributes are the same: the content hash of the source belongs into
        the key or the attributes. After an error nothing stays (on object stores: nothing that
        can be found).

        Args:
            kind: ``"grey"``, ``"labels"``, …
            key: content hash, or another name that stands for the voxels.
            slabs: arrays (n, Y, X) that follow one another, of any depth; depth
                `chunk_shape(shape, dtype)[0]` is written without a copy.
            shape: (Z, Y, X) of the whole.
            dtype: of the slabs; booleans are kept as 0 and 1.
            voxel_size_um: (dz, dy, dx); None is kept as scale 1 without a unit.
            attributes: JSON to keep beside the voxels; arrays among it, which must not be empty,
                are kept as such (`StoredVolume.beside`).
            progress: told the slices written, and all.

        Returns:
            The address.

        Raises:
            HomeError: the disk is full, or the store may not be written.
            ValueError: the slabs are not what shape and type say.
        """
        stored = readable_dtype(np.dtype(dtype), key)
        shape = parse_shape(shape, stored, key)
        address, path = self.address(kind, key), self._path(kind, key)
        chunks = chunk_shape(shape, stored)
        arrays = {k: value for k, value in attributes.items() if isinstance(value, np.ndarray)}
        told = {k: value for k, value in attributes.items() if k not in arrays}
        if arrays:
            told[_BESIDE] = sorted(arrays)
        declared = Declaration(key, shape, stored.name, chunks, voxel_size_um, told)
        with self._alone(path, address):
            if self.has(kind, key):
                return address
            unfinished = UnfinishedVolume(
                self._fs, path, address, declared, arrays, local=self._local
            )
            try:
                done = unfinished.start()
                rest = slabs(done) if callable(slabs) else behind(slabs, done)
                for slab in aligned(rest, shape, stored, chunks[0], done):
                    unfinished.append(slab)
                    if progress is not None:
                        progress(unfinished.slices, shape[0])
                unfinished.finish()
            except Exception:
                unfinished.discard()
                raise
        return address

    def put_source(
        self,
        kind: str,
        key: str,
        source: VolumeSource,
        *,
        attributes: Mapping[str, object],
        voxel_size_um: tuple[float, float, float] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Keep a foreign volume, slab by slab; as `put`.

        Args:
            kind: as for `put`.
            key: as for `put`.
            source: open volume; slices that are already there are not read again.
            attributes: as for `put`.
            voxel_size_um: what the user vouches for; without, what the source states.
            progress: as for `put`.

        Raises:
            HomeError: the disk is full, or the store may not be written.
            UnreadableVolumeError: the source is damaged.
        """
        depth = chunk_shape(source.shape, source.dtype)[0]
        return self.put(
            kind,
            key,
            lambda start: source.slabs(depth, start),
            shape=source.shape,
            dtype=source.dtype,
            voxel_size_um=voxel_size_um or source.voxel_size_um,
            attributes=attributes,
            progress=progress,
        )

    def open(self, kind: str, key: str) -> StoredVolume:
        """Open a volume for reading.

        Raises:
            UnreadableVolumeError: it is not there, or its metadata or a chunk are missing.
        """
        name = self._relative(kind, key)
        if not self.has(kind, key):
            raise UnreadableVolumeError(name, "not in the store; materialise it again")
        address = self.address(kind, key)
        opened = open_zarr(address, name, None)
        with unreadable_on_error(name, "volume of the store"):
            missing = opened.array.nchunks - opened.array.nchunks_initialized
            group = zarr.open_group(zarr_store(address, read_only=True), mode="r")
            attributes = cast("dict[str, Any]", group.attrs.asdict().get("graindex", {}))
        if missing:
            raise UnreadableVolumeError(
                name,
                f"{missing} of {opened.array.nchunks} chunks are missing; remove the volume "
                "and materialise it again",
            )
        return StoredVolume(opened, attributes)

    def entries(self) -> Iterator[Stored]:
        """All whole volumes; unfinished ones are left out."""
        self._fs.invalidate_cache()
        for folder in self._folders(self._root):
            for path in self._folders(folder):
                name = path.rpartition("/")[2]
                witness = f"{path}/zarr.json"
                if name.endswith(_SUFFIX) and self._fs.exists(witness):
                    when = modified_at(self._fs.info(witness))
                    key, kind = name.removesuffix(_SUFFIX), folder.rpartition("/")[2]
                    yield Stored(key, path, 0, when, kind)

    def size_bytes(self, stored: Stored) -> int:
        """Size of all files of a volume."""
        return int(self._fs.du(stored.path))

    def remove_old(self, stored: Stored, unless_newer_than: datetime) -> bool:
        """Delete a volume; whether it was deleted: not if it was written again or is gone."""
        return remove_old(self._fs, stored.path, f"{stored.path}/zarr.json", unless_newer_than)

    def _folders(self, path: str) -> list[str]:
        if not self._fs.exists(path):
            return []
        found = self._fs.ls(path, detail=True)
        return [str(each["name"]) for each in found if each["type"] == "directory"]

    def remove(self, kind: str, key: str) -> None:
        """Delete a volume, whole or not; none is no error."""
        path = self._path(kind, key)
        for each in (path, f"{path}.part", f"{path}.part.json", f"{path}.part.lock"):
            if self._fs.exists(each):
                self._fs.rm(each, recursive=True)

    def _relative(self, kind: str, key: str) -> str:
        for text in (kind, key):
            if not _NAME.fullmatch(text):
                message = f"{text!r} cannot name a volume: letters, digits, '.', '_' and '-' only"
                raise ValueError(message)
        return f"{kind}/{key}{_SUFFIX}"

    def _path(self, kind: str, key: str) -> str:
        return f"{self._root}/{self._relative(kind, key)}"

    def _alone(self, path: str, address: str) -> AbstractContextManager[object]:
        """Return the lock of one volume in a folder; writers of an object store write the same."""
        if not self._local:
            return nullcontext()
        with refusals_of_the_home(address):
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        return FileLock(f"{path}.part.lock")
