"""A folder of slices, one image file each, in the order of the number in their names.

Out of scope: several series in one folder.
"""

import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from imagecodecs import png_decode
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from tifffile import TiffFile

from graindex.readers.library_log import captured_log
from graindex.readers.sniff import sniff
from graindex.readers.volume_files import members_sha256
from graindex.readers.volume_scale import UNKNOWN, VoxelSize
from graindex.readers.volume_source import (
    UnreadableVolumeError,
    VolumeSource,
    Voxels,
    unreadable_on_error,
)
from graindex.readers.volume_tiff_page import (
    decode_page,
    full_resolution_pages,
    imagej_voxel_size,
    page_facts,
)
from models.calibrate.readings import Finding

SLICE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg"})

_NUMBERS = re.compile(r"(\d+)")
_PNG_GREY = 0
_JPEG_END = b"\xff\xd9"
"""Ends a JPEG. Its decoder fills in what is missing before it as grey."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """What a slice's header promises, and its samples where they were asked for."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    voxel_size: VoxelSize = UNKNOWN
    findings: tuple[Finding, ...] = ()
    samples: Voxels | None = None

    @property
    def words(self) -> str:
        return f"{self.shape[0]} x {self.shape[1]} pixels of {self.dtype}"


class SliceFolder(VolumeSource):
    """Slices in files of their own."""

    def __init__(self, fs: Any, root: str, uri: str, name: str) -> None:
        self._fs, self._root = fs, root
        listed = [PurePath(str(path)).name for path in fs.ls(root, detail=False)]
        self._names, step = ordered_slices(listed, name)
        first = self._slice(self._names[0], name, samples=False)
        self._first = first
        super().__init__(
            uri=uri,
            name=name,
            format="slices",
            shape=(len(self._names), *first.shape),
            dtype=first.dtype,
            # Of every n-th slice, the distance that the first one states may be of either kind.
            voxel_size=first.voxel_size if step == 1 else UNKNOWN,
            findings=first.findings,
        )

    def content_sha256(self) -> str:
        """SHA-256 over the slices' names, sorted, and their bytes."""
        return members_sha256(self._fs, self._root, self._names)

    def close(self) -> None:
        """Nothing is held open."""

    def check_headers(self) -> None:
        """Refuse slices that differ from the first one, without decoding any.

        Raises:
            UnreadableVolumeError: one has another size or type; names it.
        """
        for slice_name in self._names[1:]:
            self._check(self._slice(slice_name, self.name, samples=False), slice_name)

    def _read(self, z0: int, z1: int) -> Voxels:
        out = np.empty((z1 - z0, *self.shape[1:]), self.dtype)
        for at, slice_name in enumerate(self._names[z0:z1]):
            read = self._slice(slice_name, self.name, samples=True)
            self._check(read, slice_name)
            out[at] = read.samples
        return out

    def _check(self, read: _Slice, slice_name: str) -> None:
        if (read.shape, read.dtype) != (self._first.shape, self._first.dtype):
            raise UnreadableVolumeError(
                f"{self.name}/{slice_name}",
                f"{read.words}, but {self._names[0]} has {self._first.words}: "
                "slices of a volume are alike",
            )

    def _slice(self, slice_name: str, folder: str, *, samples: bool) -> _Slice:
        path, shown = f"{self._root}/{slice_name}", f"{folder}/{slice_name}"
        with unreadable_on_error(shown, "image"):
            data = self._fs.cat_file(path) if samples else None
            head = data[:64] if data is not None else self._fs.cat_file(path, 0, 64)
            kind = sniff(head, shown)
            with io.BytesIO(data) if data is not None else self._fs.open(path, "rb") as file:
                if kind == "tiff":
                    size = len(data) if data is not None else int(self._fs.size(path))
                    return _tiff_slice(file, data, size, shown)
                if kind == "png":
                    return _png_slice(head, data, shown)
                return _pillow_slice(file, data, kind, shown)


def _tiff_slice(file: Any, data: bytes | None, file_bytes: int, name: str) -> _Slice:
    with captured_log() as log, TiffFile(file, name=name, _multifile=False) as tif:
        pages = full_resolution_pages(tif, log, name)
        if len(pages) > 1:
            raise UnreadableVolumeError(
                name, f"{len(pages)} pages: the files of a folder of slices have one each"
            )
        facts = page_facts(pages[0], file_bytes, name)
        samples = None if data is None else decode_page(pages[0], data)
        said = imagej_voxel_size(pages[0])
    return _Slice(facts.shape, facts.dtype, said, facts.findings, samples)


def _png_slice(head: bytes, data: bytes | None, name: str) -> _Slice:
    """Read a PNG with libpng, which checks its checksums."""
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    depth, colour = head[24], head[25]
    if colour != _PNG_GREY or depth < 8:
        raise UnreadableVolumeError(
            name,
            f"a PNG of colour type {colour} and {depth} bits: slices are grey, of 8 or 16 bits",
        )
    samples = None if data is None else np.asarray(png_decode(data))
    return _Slice((height, width), np.dtype(f"u{depth // 8}"), samples=samples)


def _pillow_slice(file: Any, data: bytes | None, kind: str, name: str) -> _Slice:
    plugins = {"jpeg": JpegImageFile, "bmp": BmpImageFile}
    if kind not in plugins:
        raise UnreadableVolumeError(name, f"slices are no {kind.upper()} files")
    image = plugins[kind](file)
    if image.mode != "L":
        raise UnreadableVolumeError(
            name, f"pixels of the kind {image.mode!r}: slices are grey, of 8 or 16 bits"
        )
    if kind == "jpeg" and data is not None and _JPEG_END not in data[-64:]:
        raise UnreadableVolumeError(name, "truncated JPEG: it has no end-of-image marker")
    samples = None if data is None else np.asarray(image)
    return _Slice((image.height, image.width), np.dtype(np.uint8), samples=samples)


def ordered_slices(names: list[str], folder: str) -> tuple[list[str], int]:
    """Return the image files of a folder in the order of their slice numbers, and its step.

    Names are alike but for numbers; of those that differ everywhere, the one of the smallest range
    counts the slices (an acquisition time in the name grows faster).

    Raises:
        UnreadableVolumeError: there is none, one is named unlike the others, or a number is
            missing or there twice.
    """
    images = [
        name
        for name in names
        if not name.startswith(".") and PurePath(name).suffix.lower() in SLICE_SUFFIXES
    ]
    if not images:
        raise UnreadableVolumeError(folder, "the folder has no TIFF, PNG, BMP or JPEG slices")
    if len(images) == 1:
        return images, 1
    pattern, _ = Counter(_pattern(name) for name in sorted(images)).most_common(1)[0]
    usual = next(name for name in sorted(images) if _pattern(name) == pattern)
    for name in sorted(images):
        if _pattern(name) != pattern:
            raise UnreadableVolumeError(
                folder, f"{name} is not named like the other slices ({usual}); move it out"
            )
    numbers = {name: [int(digits) for digits in _NUMBERS.findall(name)] for name in images}
    columns = list(zip(*numbers.values(), strict=True))
    distinct = [at for at, column in enumerate(columns) if len(set(column)) == len(column)]
    if not distinct:
        raise UnreadableVolumeError(folder, _not_countable(images, numbers))
    at = min(distinct, key=lambda at: max(columns[at]) - min(columns[at]))
    ordered = sorted(images, key=lambda name: numbers[name][at])
    return ordered, _step(ordered, [numbers[name][at] for name in ordered], folder)


def _pattern(name: str) -> str:
    return _NUMBERS.sub("#", name).lower()


def _not_countable(images: list[str], numbers: dict[str, list[int]]) -> str:
    by_numbers: dict[tuple[int, ...], str] = {}
    for name in sorted(images):
        twin = by_numbers.setdefault(tuple(numbers[name]), name)
        if twin != name:
            return f"{twin} and {name} have the same number: one slice is there twice"
    return f"no number in the names ({min(images)}, …) counts the slices: several series?"


def _step(ordered: list[str], numbers: list[int], folder: str) -> int:
    steps = np.diff(numbers)
    step = int(steps.min())
    for at, found in enumerate(steps):
        if found != step:
            raise UnreadableVolumeError(
                folder,
                f"slice {numbers[at] + step} is missing between {ordered[at]} and "
                f"{ordered[at + 1]}",
            )
    return step
