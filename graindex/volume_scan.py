"""The volumes of a collection: which files are one volume, and what each of them holds.

Of a folder of numbered TIFF files one header is opened, or up to three where the first are damaged,
to tell stacks from slices; otherwise names decide.
Out of scope: reading voxels (`graindex.volume_ingest`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Any

import fsspec
from tifffile import TiffFile

from graindex.readers.frame import LIBRARY_ERRORS
from graindex.readers.library_log import captured_log
from graindex.readers.volume_slices import SLICE_SUFFIXES
from graindex.readers.zarr_files import METADATA_FILES
from graindex.recipes import VolumeSettings
from graindex.scan import Listing, Original, Refusal
from graindex.volume_groups import Candidate, VolumeGroup, folder_of, grouped

_ZARR = ".zarr"
_TIFF = frozenset({".tif", ".tiff"})
_HDF5 = frozenset({".h5", ".hdf5", ".hdf", ".he5", ".nxs", ".emd"})
_MRC = frozenset({".mrc", ".rec", ".st", ".ali", ".map"})
_RAW = frozenset({".raw", ".bin", ".dat", ".vol"})
_PACKED = {".gz": "gzip", ".bz2": "bzip2"}
LOOKED_FOR = "Zarr, HDF5, MRC, TIFF, folders of slices, or raw files of a stated shape"

_DIGITS = re.compile(r"\d+")
_HEADERS_TRIED = 3
_PAGES_LOOKED_AT = 8


@dataclass(frozen=True)
class VolumeListing:
    """The volumes of a collection, in the order of their paths.

    Attributes:
        groups: what looks like a volume.
        ignored: files that belong to none.
        refusals: what could not be listed, is packed, or is there twice.
    """

    groups: tuple[VolumeGroup, ...]
    ignored: tuple[Original, ...]
    refusals: tuple[Refusal, ...]


def list_volumes(location_uri: str, listing: Listing, settings: VolumeSettings) -> VolumeListing:
    """Tell from names which files of a collection are volumes, and which of them belong together.

    Volumes are Zarr stores, HDF5, MRC and TIFF files, raw files where their shape is known, and
    folders of slices: two or more images of one page whose names differ in numbers. A name that
    ends in ``grey``, ``phases`` or ``labels`` says what is in it; what is left of the names of one
    folder tells which are on the same grid. Where the location itself is a Zarr store or a folder
    of slices, paths begin with its name.

    Args:
        location_uri: folder, file or URL of the collection.
        listing: its files.
        settings: how volumes of the collection are read.
    """
    entries = sorted((*listing.images, *listing.others.values()), key=lambda entry: entry.path)
    base = location_uri.rstrip("/")
    name = base.rsplit("/", 1)[-1] or "volume"
    refusals = list(listing.refusals)
    whole = name.lower().endswith(_ZARR) and [entry.path for entry in entries] != [name]
    found = list(_candidates(entries, base, settings, {""} if whole else set()))
    if any(candidate.path == "" for candidate in found):
        found = [_below(name, candidate) for candidate in found]
        entries = [replace(entry, path=f"{name}/{entry.path}") for entry in entries]
        refusals = [replace(refusal, path=f"{name}/{refusal.path}") for refusal in refusals]
    refusals += _packed(entries, found, settings)
    groups, ambiguous = grouped(found, settings.content)
    taken = {file.path for candidate in found for file in candidate.files}
    taken |= {refusal.path for refusal in refusals}
    return VolumeListing(
        groups,
        tuple(entry for entry in entries if entry.path not in taken),
        (*refusals, *ambiguous),
    )


def _below(name: str, candidate: Candidate) -> Candidate:
    """A candidate with its paths seen from the folder above the location."""
    whole = candidate.path == ""
    return replace(
        candidate,
        path=name if whole else f"{name}/{candidate.path}",
        stem=_folder_stem(name) if whole else candidate.stem,
        files=tuple(replace(file, path=f"{name}/{file.path}") for file in candidate.files),
    )


def _candidates(
    entries: Sequence[Original], base: str, settings: VolumeSettings, zarrs: set[str]
) -> Iterator[Candidate]:
    """Candidates by path; `zarrs` are folders known to be Zarr stores."""
    stores, folders = _sorted_out(entries, zarrs)
    named = {} if settings.dataset_path is None else {"dataset_path": settings.dataset_path}
    for path, files in stores.items():
        yield Candidate(path, _join(base, path), _folder_stem(path), tuple(files), named)
    raw = None if settings.shape is None else _raw_options(settings)
    for folder, files in folders.items():
        images = [file for file in files if _suffix(file.path) in SLICE_SUFFIXES]
        series = _is_series(images)
        if series:
            yield Candidate(folder, _join(base, folder), _folder_stem(folder), tuple(images), {})
        for file in files:
            suffix = _suffix(file.path)
            if suffix in _HDF5:
                yield _alone(file, named)
            elif suffix in _MRC or (suffix in _TIFF and not series):
                yield _alone(file, {})
            elif suffix in _RAW and raw is not None:
                yield _alone(file, raw)


def _sorted_out(
    entries: Sequence[Original], zarrs: set[str]
) -> tuple[dict[str, list[Original]], dict[str, list[Original]]]:
    """Files by the Zarr store that they are in, and the others by their folder."""
    roots = zarrs | {
        folder_of(entry.path)
        for entry in entries
        if PurePosixPath(entry.path).name in METADATA_FILES
    }
    stores: dict[str, list[Original]] = defaultdict(list)
    folders: dict[str, list[Original]] = defaultdict(list)
    for entry in entries:
        parents = folder_of(entry.path).split("/")
        above = ("", *(path for path in accumulate(parents, "{}/{}".format) if path))
        store = next((at for at in above if at in roots or at.lower().endswith(_ZARR)), None)
        if store is None:
            folders[above[-1]].append(entry)
        else:
            stores[store].append(entry)
    return stores, folders


def _is_series(images: Sequence[Original]) -> bool:
    """Whether the images of a folder are slices of one volume, be it with strays among them."""
    if not images:
        return False
    patterns = {
        image.path: _DIGITS.sub("#", image.path.rsplit("/")[-1]).lower() for image in images
    }
    pattern, count = Counter(patterns.values()).most_common(1)[0]
    if count < 2 or "#" not in pattern:
        return False
    tiffs = [image for image in images if _suffix(image.path) in _TIFF]
    usual = [image for image in tiffs if patterns[image.path] == pattern]
    for image in (usual or tiffs)[:_HEADERS_TRIED]:
        pages = _pages(image.uri)
        if pages:
            return pages == 1
    return not tiffs


def _pages(uri: str) -> int:
    """How many slices a TIFF holds, counted up to two; 0 where it cannot be told."""
    try:
        with (
            captured_log(),
            fsspec.open(uri, "rb") as file,
            TiffFile(file, _multifile=False) as tif,
        ):
            if tif.is_imagej and int((tif.imagej_metadata or {}).get("images", 1)) > 1:
                return 2  # a stack over 4 GB has one page only
            first = (tif.pages[at].aspage() for at in range(min(len(tif.pages), _PAGES_LOOKED_AT)))
            return min(sum(not (page.is_reduced or page.is_mask) for page in first), 2)
    except LIBRARY_ERRORS:
        return 0


def _alone(file: Original, options: Mapping[str, Any]) -> Candidate:
    stem = PurePosixPath(file.path).name.removesuffix(PurePosixPath(file.path).suffix)
    return Candidate(file.path, file.uri, _without_ome(stem), (file,), options)


def _raw_options(settings: VolumeSettings) -> dict[str, Any]:
    return {"shape": settings.shape, "dtype": settings.dtype, "offset": settings.offset}


def _packed(
    entries: Iterable[Original], found: Iterable[Candidate], settings: VolumeSettings
) -> Iterator[Refusal]:
    """Refuse compressed files that would be volumes, outside of Zarr stores."""
    inside = {file.path for candidate in found for file in candidate.files}
    suffixes = _HDF5 | _MRC | _TIFF | (_RAW if settings.shape is not None else frozenset())
    for entry in entries:
        path = PurePosixPath(entry.path)
        packer = _PACKED.get(path.suffix.lower())
        if packer and path.with_suffix("").suffix.lower() in suffixes and entry.path not in inside:
            yield Refusal(entry.path, entry.uri, f"compressed with {packer}: unpack it first")


def _join(base: str, path: str) -> str:
    return f"{base}/{path}" if path else base


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _folder_stem(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return _without_ome(name[: -len(_ZARR)]) if name.lower().endswith(_ZARR) else name


def _without_ome(stem: str) -> str:
    return stem[:-4] if stem.lower().endswith(".ome") else stem
