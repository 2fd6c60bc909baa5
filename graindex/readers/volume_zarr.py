"""OME-Zarr images (0.4 and 0.5) and plain Zarr arrays, formats 2 and 3, wherever they lie.

Out of scope: lower resolutions, several channels or times, and writing (`graindex.volume_store`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from fsspec.implementations.local import LocalFileSystem
from zarr.storage import FsspecStore, LocalStore

from graindex.readers.frame import LIBRARY_ERRORS
from graindex.readers.volume_chunks import Box, first_unreadable
from graindex.readers.volume_files import locate, members_sha256
from graindex.readers.volume_scale import UNKNOWN, VoxelSize, from_attributes, stated
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    Voxels,
    is_refusal,
    spatial,
    unreadable_on_error,
)
from models.calibrate.readings import Finding

_OLD_AXES = "tczyx"
"""Axes before OME-Zarr 0.3, where they were not stated."""

Axes = list[tuple[str, str | None]]


def zarr_store(uri: str, *, read_only: bool) -> LocalStore | FsspecStore:
    """Return the Zarr store at a folder or URL."""
    fs, path, _ = locate(uri)
    if isinstance(fs, LocalFileSystem):
        return LocalStore(path, read_only=read_only)
    return FsspecStore.from_url(uri, read_only=read_only)


def damaged_chunk(array: "zarr.Array[Any]", box: Box, name: str) -> UnreadableVolumeError | None:
    """Return the error that names the first chunk in a box whose bytes cannot be read.

    None where every chunk can be, or where the system refused one.
    """
    grid = array.shards or array.chunks
    found = first_unreadable(box, grid, array.__getitem__)
    if found is None or is_refusal(found[1]):
        return None
    coordinates, cause = found
    key = array.metadata.encode_chunk_key(coordinates)
    path = f"{array.path}/{key}".lstrip("/")
    said = str(cause) or type(cause).__name__
    return UnreadableVolumeError(name, f"chunk {path} is damaged: {said}")


class ZarrVolume(VolumeSource):
    """The highest resolution of an OME-Zarr image, or an array."""

    def __init__(
        self, array: "zarr.Array[Any]", voxel_size: VoxelSize, format: str, uri: str, name: str
    ) -> None:
        lead, shape = spatial(array.shape, name)
        super().__init__(
            uri=uri,
            name=name,
            format=format,
            shape=shape,
            dtype=array.dtype,
            voxel_size=voxel_size,
            findings=_absent_chunks(array),
        )
        self._array, self._lead = array, lead

    def content_sha256(self) -> str:
        """SHA-256 over the relative names, sorted, and the bytes of all files below the URI."""
        fs, root, _ = locate(self.uri)
        names = [str(path).removeprefix(root).lstrip("/") for path in fs.find(root)]
        return members_sha256(fs, root, names)

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def array(self) -> "zarr.Array[Any]":
        """The Zarr array; its own errors do not name the chunk."""
        return self._array

    def _read(self, z0: int, z1: int) -> Voxels:
        try:
            selection: tuple[int | slice, ...] = (*self._lead, slice(z0, z1))
            return np.asarray(self._array[selection])
        except LIBRARY_ERRORS as error:
            plane = (slice(0, self.shape[1]), slice(0, self.shape[2]))
            box = (*(slice(0, 1) for _ in self._lead), slice(z0, z1), *plane)
            damage = damaged_chunk(self._array, box, self.name)
            if damage is None:
                raise
            raise damage from error


def open_zarr(uri: str, name: str, dataset_path: str | None) -> ZarrVolume:
    """Open an image or array; no voxel is read yet.

    Raises:
        UnreadableVolumeError: its metadata are damaged, or it is not one volume.
    """
    with unreadable_on_error(name, "Zarr metadata"):
        store = zarr_store(uri, read_only=True)
        try:
            node = zarr.open(store, path=dataset_path or "", mode="r")
        except FileNotFoundError as error:
            raise UnreadableVolumeError(
                name, f"nothing of Zarr at {dataset_path!r}" if dataset_path else "no Zarr metadata"
            ) from error
        if isinstance(node, zarr.Group):
            return _open_group(node, uri, name)
        return _open_array(node, uri, name)


def _absent_chunks(array: "zarr.Array[Any]") -> tuple[Finding, ...]:
    """Tell of chunks that no file holds: most are background, but a lost file looks the same."""
    absent = array.nchunks - array.nchunks_initialized
    if not absent:
        return ()
    detail = f"{absent} of {array.nchunks} chunks are not stored and read as {array.fill_value}"
    return (Finding("chunks_not_stored", detail),)


def _open_array(array: "zarr.Array[Any]", uri: str, name: str) -> ZarrVolume:
    named = [
        axis.lower() if axis else ""
        for axis in getattr(array.metadata, "dimension_names", None) or ()
    ]
    if set(named) >= set("zyx") and named[-3:] != list("zyx"):
        raise UnreadableVolumeError(
            name, f"the axes are {', '.join(named)}; the last three have to be z, y, x"
        )
    return ZarrVolume(array, from_attributes(dict(array.attrs), "attribute"), "zarr", uri, name)


def _open_group(group: zarr.Group, uri: str, name: str) -> ZarrVolume:
    facts = _ome_facts(group)
    if "bioformats2raw.layout" in facts and "multiscales" not in facts:
        if "1" in group:
            raise UnreadableVolumeError(name, "several images: name one of 0, 1, …")
        group = _child_group(group, "0", name)
        facts = _ome_facts(group)
    multiscales = facts.get("multiscales")
    if not multiscales:
        return _only_array(group, uri, name)
    if len(multiscales) > 1:
        raise UnreadableVolumeError(name, f"{len(multiscales)} multiscale images in one group")
    return _open_multiscale(group, multiscales[0], uri, name)


def _ome_facts(group: zarr.Group) -> Mapping[str, Any]:
    """Return the OME metadata, which stand under a key of their own from 0.5 on."""
    attributes: Mapping[str, Any] = group.attrs.asdict()
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def _child_group(group: zarr.Group, path: str, name: str) -> zarr.Group:
    child = group.get(path)
    if not isinstance(child, zarr.Group):
        raise UnreadableVolumeError(name, f"the image {path} is missing")
    return child


def _only_array(group: zarr.Group, uri: str, name: str) -> ZarrVolume:
    found = {
        path: node
        for path, node in group.members(max_depth=None)
        if isinstance(node, zarr.Array) and node.ndim >= 3
    }
    if len(found) != 1:
        listing = ", ".join(sorted(found)[:8]) or "none"
        raise UnreadableVolumeError(
            name, f"no OME-Zarr image, and three-dimensional arrays are {listing}: name one"
        )
    return _open_array(next(iter(found.values())), uri, name)


def _open_multiscale(
    group: zarr.Group, multiscale: Mapping[str, Any], uri: str, name: str
) -> ZarrVolume:
    dataset = multiscale["datasets"][0]
    array = group.get(str(dataset["path"]))
    if not isinstance(array, zarr.Array):
        raise UnreadableVolumeError(name, f"the array {dataset['path']!r} is missing")
    axes = _axes(multiscale, array.ndim)
    names = [axis for axis, _ in axes]
    if len(axes) != array.ndim or names[-3:] != list("zyx"):
        raise UnreadableVolumeError(
            name, f"the axes are {', '.join(names)}; the last three have to be z, y, x"
        )
    return ZarrVolume(array, _voxel_size(multiscale, dataset, axes), "ome-zarr", uri, name)


def _axes(multiscale: Mapping[str, Any], ndim: int) -> Axes:
    listed = multiscale.get("axes")
    if listed is None:
        return [(axis, None) for axis in _OLD_AXES[-ndim:]]
    return [
        (str(axis["name"]).lower(), axis.get("unit")) if isinstance(axis, Mapping) else (axis, None)
        for axis in listed
    ]


def _voxel_size(multiscale: Mapping[str, Any], dataset: Mapping[str, Any], axes: Axes) -> VoxelSize:
    """Return the dataset's scale times that of all datasets; 1 without units is no size."""
    own = _scale(dataset)
    if own is None or len(own) != len(axes):
        return UNKNOWN
    common = _scale(multiscale) or [1.0] * len(axes)
    size = [a * b for a, b in zip(own[-3:], common[-3:], strict=True)]
    return stated(size, [unit for _, unit in axes[-3:]], "OME-Zarr scale")


def _scale(holder: Mapping[str, Any]) -> Sequence[float] | None:
    for transformation in holder.get("coordinateTransformations") or ():
        if transformation.get("type") == "scale":
            return [float(factor) for factor in transformation["scale"]]
    return None
