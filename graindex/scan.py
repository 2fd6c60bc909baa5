"""The files of a collection: names, sizes and times, without opening any.

Out of scope: what is in them (`graindex.examine`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import fsspec

from graindex.errors import CollectionError
from graindex.files import sha256
from graindex.readers.images import is_image_name

_ZARR_METADATA = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata"})
"""Hidden names without which a Zarr store of format 2 is nothing but numbers."""


@dataclass(frozen=True, slots=True)
class Original:
    """One file as its folder or bucket lists it.

    Attributes:
        path: relative to the collection's location, with forward slashes.
        uri: where it lies, for fsspec.
        size_bytes: its size.
        modified_at: when it was last modified, UTC.
    """

    path: str
    uri: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was listed but cannot be opened."""

    path: str
    uri: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """A collection's files, in the order of their paths.

    Attributes:
        images: files that are named like images.
        others: every other file by path: sidecars, tables, notes.
        refusals: folders and files that could not be listed.
    """

    images: tuple[Original, ...]
    others: dict[str, Original]
    refusals: tuple[Refusal, ...]

    def signature(self, *more: str) -> str:
        """Hash that changes when any file is added, removed or modified, or any of `more`."""
        everything = (*self.images, *self.others.values())
        parts = [
            f"{entry.path}\0{entry.size_bytes}\0{entry.modified_at.isoformat()}"
            for entry in everything
        ]
        return sha256(*more, *sorted(parts))


def list_collection(location_uri: str) -> Listing:
    """List every file below a folder, or below a URL's prefix, but for hidden ones (`.name`).

    Metadata of Zarr format 2 are listed though their names are hidden. Symbolic links to files and
    folders are followed once; a link back to a folder above it is refused, not followed. A
    location that is a file is a listing of that file.

    Raises:
        CollectionError: the location does not exist or is neither a folder nor a file.
    """
    entries: list[Original] = []
    refusals: list[Refusal] = []
    walk = _walk_remote if "://" in location_uri else _walk_local
    for entry in walk(location_uri):
        if isinstance(entry, Refusal):
            refusals.append(entry)
        else:
            entries.append(entry)
    entries.sort(key=lambda entry: entry.path)
    images = tuple(entry for entry in entries if is_image_name(entry.path))
    others = {entry.path: entry for entry in entries if not is_image_name(entry.path)}
    return Listing(images, others, tuple(refusals))


def _walk_remote(location_uri: str) -> Iterator[Original | Refusal]:
    try:
        fs, root = fsspec.core.url_to_fs(location_uri)
    except (ImportError, ValueError) as error:
        message = f"{location_uri} cannot be opened: {error}"
        raise CollectionError(message) from error
    if fs.isdir(root):
        found = fs.find(root, detail=True)
    elif fs.isfile(root):
        found, root = {root: fs.info(root)}, root.rpartition("/")[0]
    else:
        message = f"{location_uri} is not there"
        raise CollectionError(message)
    for name, info in sorted(found.items()):
        relative = name.removeprefix(root).lstrip("/")
        if any(_is_hidden(part) for part in relative.split("/")):
            continue
        stamp = info.get("LastModified") or info.get("mtime") or info.get("created") or 0
        modified = stamp if isinstance(stamp, datetime) else datetime.fromtimestamp(stamp, UTC)
        yield Original(relative, fs.unstrip_protocol(name), int(info["size"]), modified)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name not in _ZARR_METADATA


def _walk_local(location_uri: str) -> Iterator[Original | Refusal]:
    root = Path(location_uri)
    if root.is_dir():
        yield from _walk_folder(root, root, (os.path.realpath(root),))
    elif root.is_file():
        yield from _visit_safely(root.parent, root, ())
    else:
        kind = "is neither a folder nor a file" if root.exists() else "is not there"
        message = f"{location_uri} {kind}"
        raise CollectionError(message)


def _walk_folder(root: Path, folder: Path, above: tuple[str, ...]) -> Iterator[Original | Refusal]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        yield _refusal(root, folder, f"folder cannot be listed: {error.strerror}")
        return
    for child in children:
        if not _is_hidden(child.name):
            yield from _visit_safely(root, child, above)


def _visit_safely(root: Path, child: Path, above: tuple[str, ...]) -> Iterator[Original | Refusal]:
    try:
        yield from _visit(root, child, above)
    except UnicodeEncodeError:
        yield _refusal(root, child, "the file name is not valid UTF-8; rename it")
    except OSError as error:
        yield _refusal(root, child, f"cannot be opened: {error.strerror}")
    except (OverflowError, ValueError):
        yield _refusal(root, child, "the time of its last change is no date; touch it")


def _visit(root: Path, child: Path, above: tuple[str, ...]) -> Iterator[Original | Refusal]:
    status = child.stat()
    if child.is_dir():
        real = os.path.realpath(child)
        if real in above:
            yield _refusal(root, child, "symbolic link back to a folder above it")
        else:
            yield from _walk_folder(root, child, (*above, real))
    elif child.is_file():
        str(child).encode()
        modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
        relative = child.relative_to(root).as_posix()
        yield Original(relative, str(child), status.st_size, modified)
    elif is_image_name(child.name):
        yield _refusal(root, child, "neither a file nor a folder")


def _refusal(root: Path, child: Path, reason: str) -> Refusal:
    def printable(path: str) -> str:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    relative = child.relative_to(root).as_posix()
    return Refusal(printable(relative), printable(str(child)), reason)
