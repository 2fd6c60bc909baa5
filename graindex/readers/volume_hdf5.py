"""HDF5 files: the one three-dimensional dataset, or the one that is named, with h5py.

Out of scope: the layouts of single instruments.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from graindex.readers.frame import LIBRARY_ERRORS
from graindex.readers.volume_chunks import first_unreadable
from graindex.readers.volume_files import LocalFile
from graindex.readers.volume_scale import UNKNOWN, VoxelSize, from_attributes
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    Voxels,
    is_refusal,
    spatial,
    unreadable_on_error,
)

_NAMED = 8


class Hdf5Volume(VolumeSource):
    """A dataset of an HDF5 file."""

    def __init__(self, file: LocalFile, h5: Any, dataset: Any, uri: str, name: str) -> None:
        lead, shape = spatial(dataset.shape, name)
        super().__init__(
            uri=uri,
            name=name,
            format="hdf5",
            shape=shape,
            dtype=dataset.dtype,
            voxel_size=_voxel_size(h5, dataset),
        )
        self._file, self._h5, self._dataset, self._lead = file, h5, dataset, lead

    def content_sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return self._file.sha256()

    def close(self) -> None:
        """Close the file."""
        self._h5.close()
        self._file.close()

    def _read(self, z0: int, z1: int) -> Voxels:
        try:
            return np.asarray(self._dataset[(*self._lead, slice(z0, z1))])
        except LIBRARY_ERRORS as error:
            box = tuple(slice(0, size) for size in (*self._dataset.shape[:-3], *self.shape))
            box = (*box[:-3], slice(z0, z1), *box[-2:])
            chunks = self._dataset.chunks
            found = first_unreadable(box, chunks, self._dataset.__getitem__) if chunks else None
            if found is None or is_refusal(found[1]):
                raise
            coordinates, cause = found
            raise UnreadableVolumeError(
                self.name, f"chunk {coordinates} of {self._dataset.name} is damaged: {cause}"
            ) from error


def open_hdf5(file: LocalFile, uri: str, name: str, dataset_path: str | None) -> Hdf5Volume:
    """Open a dataset; no voxel is read yet.

    Raises:
        UnreadableVolumeError: truncated, or no dataset or several could be meant.
    """
    with unreadable_on_error(name, "HDF5 file"):
        h5 = h5py.File(file.path, "r", locking="best-effort")
        try:
            dataset = _named(h5, dataset_path, name) if dataset_path else _only(h5, name)
            _check_virtual(dataset, file.path.parent, name)
            return Hdf5Volume(file, h5, dataset, uri, name)
        except BaseException:
            h5.close()
            raise


def _named(h5: Any, path: str, name: str) -> Any:
    found = h5.get(path)
    if not isinstance(found, h5py.Dataset):
        raise UnreadableVolumeError(name, f"no dataset {path!r}; {_listing(_volumes(h5))}")
    return found


def _only(h5: Any, name: str) -> Any:
    found = _volumes(h5)
    if len(found) != 1:
        raise UnreadableVolumeError(
            name, f"{_listing(found)}: name the dataset to read" if found else _listing(found)
        )
    return h5[found[0]]


def _volumes(h5: Any) -> list[str]:
    """Return the datasets of three axes that hold numbers, links to other files left out."""
    found: list[str] = []

    def visit(path: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "buif" and node.shape is not None:
            shape = node.shape
            if len(shape) >= 3 and all(size == 1 for size in shape[:-3]):
                found.append(path)

    h5.visititems(visit)
    return found


def _listing(found: list[str]) -> str:
    if not found:
        return "the file has no three-dimensional dataset"
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"three-dimensional datasets are {', '.join(found[:_NAMED])}{more}"


def _check_virtual(dataset: Any, folder: Path, name: str) -> None:
    """Refuse a virtual dataset whose files are gone: HDF5 would read zeros."""
    if not dataset.is_virtual:
        return
    for source in dataset.virtual_sources():
        if source.file_name != "." and not (folder / source.file_name).exists():
            raise UnreadableVolumeError(
                name, f"the virtual dataset {dataset.name} misses its file {source.file_name}"
            )


def _voxel_size(h5: Any, dataset: Any) -> VoxelSize:
    """Return what the attributes of the dataset say, or those of the groups above it."""
    node, refused = dataset, UNKNOWN
    while True:
        said = from_attributes(dict(node.attrs), f"attribute {node.name.rstrip('/')}".rstrip())
        if said.um is not None:
            return said
        refused = refused if refused.findings else said
        if node.name == "/":
            return refused
        node = node.parent
