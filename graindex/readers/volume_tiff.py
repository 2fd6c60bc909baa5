"""Multi-page TIFF stacks, of ImageJ, OME and others, BigTIFF too, with tifffile.

Out of scope: planes that an OME file keeps in other files, and stacks of several channels or times.
"""

import math
import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from tifffile import COMPRESSION, TiffFile, TiffPage

from graindex.readers import vendors
from graindex.readers.library_log import captured_log
from graindex.readers.volume_files import LocalFile
from graindex.readers.volume_scale import VoxelSize
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    Voxels,
    unreadable_on_error,
)
from graindex.readers.volume_tiff_page import (
    PageFacts,
    decode_page,
    full_resolution_pages,
    imagej_voxel_size,
    ome_voxel_size,
    page_facts,
)
from models.calibrate.readings import Finding

_AXIS_NAMES = {"C": "channels", "T": "time points", "S": "samples", "A": "angles", "P": "positions"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the pages make a volume: a page for each slice, or one block from an offset on."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    pages: list[TiffPage]
    block_offset: int | None
    voxel_size: VoxelSize
    findings: tuple[Finding, ...]


class TiffVolume(VolumeSource):
    """A stack in one TIFF file."""

    def __init__(
        self, file: LocalFile, tif: TiffFile, layout: _Layout, uri: str, name: str
    ) -> None:
        super().__init__(
            uri=uri,
            name=name,
            format="tiff",
            shape=layout.shape,
            dtype=layout.dtype,
            voxel_size=layout.voxel_size,
            findings=layout.findings,
        )
        self._file, self._tif, self._pages = file, tif, layout.pages
        self._block: Voxels | None = None
        self._map: mmap.mmap | None = None
        if layout.block_offset is not None:
            stored = layout.dtype.newbyteorder(tif.byteorder)
            self._block = np.memmap(
                file.path, stored, "r", offset=layout.block_offset, shape=layout.shape
            )
        elif any(page.compression == COMPRESSION.LZW for page in self._pages):
            with file.path.open("rb") as opened:
                self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def content_sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return self._file.sha256()

    def close(self) -> None:
        """Close the file."""
        self._block = None
        self._tif.close()
        if self._map is not None:
            self._map.close()
            self._map = None
        self._file.close()

    def _read(self, z0: int, z1: int) -> Voxels:
        if self._block is not None:
            return np.array(self._block[z0:z1], dtype=self.dtype)
        out = np.empty((z1 - z0, *self.shape[1:]), self.dtype)
        for z in range(z0, z1):
            page = self._pages[z]
            with captured_log(), unreadable_on_error(self.name, f"TIFF page {page.index}"):
                out[z - z0] = decode_page(page, self._map or b"")
        return out


def open_tiff(file: LocalFile, uri: str, name: str) -> TiffVolume:
    """Open a stack; no voxel is read yet.

    Raises:
        UnreadableVolumeError: truncated, in colour, of pages that differ, or not one volume.
    """
    with captured_log() as log, unreadable_on_error(name, "TIFF"):
        # An OME file may name others, which tifffile would open wherever they lie.
        tif = TiffFile(file.path, _multifile=False)
        try:
            layout = _layout(tif, log, file.path.stat().st_size, name)
            return TiffVolume(file, tif, layout, uri, name)
        except BaseException:
            tif.close()
            raise


def _layout(tif: TiffFile, log: list[str], file_bytes: int, name: str) -> _Layout:
    pages = full_resolution_pages(tif, log, name)
    facts = _common_facts(pages, file_bytes, name)
    series = tif.series[0]
    if tif.is_ome and series.kind != "ome":
        raise UnreadableVolumeError(
            name,
            "the OME-XML does not describe the pages of this file; its planes may be in others",
        )
    _check_axes(series.axes, series.shape, name)
    depth = math.prod(series.shape[:-2])
    offset: int | None = None
    if series.dataoffset is not None and len(pages) == 1 < depth:
        offset = int(series.dataoffset)
        expected = offset + depth * math.prod(facts.shape) * facts.dtype.itemsize
        if file_bytes < expected:
            raise UnreadableVolumeError(
                name, f"truncated TIFF: the stack ends at byte {expected}, the file at {file_bytes}"
            )
    elif series.kind == "ome":
        pages = _ome_pages(series, name)
    else:
        _check_imagej_count(pages[0], len(pages), name)
        depth = len(pages)
    said = ome_voxel_size(pages[0].description) if tif.is_ome else imagej_voxel_size(pages[0])
    logged = tuple(Finding("library_warning", message) for message in dict.fromkeys(log))
    return _Layout(
        (depth, *facts.shape), facts.dtype, pages, offset, said, (*facts.findings, *logged)
    )


def _common_facts(pages: list[TiffPage], file_bytes: int, name: str) -> PageFacts:
    first = page_facts(pages[0], file_bytes, name)
    for page in pages[1:]:
        facts = page_facts(page, file_bytes, name)
        if (facts.shape, facts.dtype) != (first.shape, first.dtype):
            raise UnreadableVolumeError(
                name,
                f"page {page.index} has {_words(facts)}, page {pages[0].index} has "
                f"{_words(first)}: "
                "slices of a volume are alike",
            )
    return first


def _words(facts: PageFacts) -> str:
    return f"{facts.shape[0]} x {facts.shape[1]} pixels of {facts.dtype}"


def _check_axes(axes: str, shape: tuple[int, ...], name: str) -> None:
    """Refuse channels and times; what is not named is depth."""
    longer = {axis: size for axis, size in zip(axes[:-2], shape[:-2], strict=True) if size > 1}
    words = " and ".join(f"{n} {_AXIS_NAMES.get(axis, 'planes')}" for axis, n in longer.items())
    if len(longer) > 1:
        raise UnreadableVolumeError(
            name, f"{words}: only a stack of one channel at one time is a volume"
        )
    if any(axis in _AXIS_NAMES for axis in longer):
        raise UnreadableVolumeError(
            name,
            f"{words} and no slices: not a volume; if they are slices, say so in the file's "
            "metadata (ImageJ: Image > Properties)",
        )


def _ome_pages(series: Any, name: str) -> list[TiffPage]:
    """Return the pages in the order of the OME series, which may differ from the file's."""
    pages = [None if page is None else page.aspage() for page in series.pages]
    missing = [z for z, page in enumerate(pages) if page is None]
    if missing:
        raise UnreadableVolumeError(name, f"slice {missing[0]} of the OME series is missing")
    return [page for page in pages if page is not None]


def _check_imagej_count(first: TiffPage, found: int, name: str) -> None:
    described = vendors.parse_ini(first.imagej_description or "").get("", {}).get("images", "")
    if described.isdigit() and int(described) > found:
        raise UnreadableVolumeError(
            name, f"truncated TIFF: ImageJ describes {described} slices, {found} are there"
        )
