"""Files named by the SHA-256 of their content: thumbnails now, label volumes and models later.

Out of scope: originals, which stay where they are.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from graindex.location import Location


def sha256(*parts: bytes | str | None) -> str:
    """Hex digest over several parts; part borders and absent parts count."""
    digest = hashlib.sha256()
    for part in parts:
        if part is None:
            digest.update(b"-")
            continue
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """A file or a volume that lies in the store.

    Attributes:
        key: hash that rows name it by; the whole name of a file that nothing can name.
        path: where it lies.
        size_bytes: size of the file; 0 for volumes, whose files are not listed.
        modified_at: when it was written, or wanted again.
        kind: kind of a volume; "" for files.
    """

    key: str
    path: str
    size_bytes: int
    modified_at: datetime
    kind: str = ""


def modified_at(information: Mapping[str, Any]) -> datetime:
    """When a file was written, from what its file system says of it; now where it does not say."""
    said = information.get(
        "mtime", information.get("LastModified", information.get("last_modified"))
    )
    if isinstance(said, datetime):
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    return datetime.fromtimestamp(time.time() if said is None else float(said), UTC)


class FileStore:
    """Content-addressed files below the store's data."""

    def __init__(self, location: Location) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(location.under("files"))
        self._local = isinstance(self._fs, LocalFileSystem)

    def address(self, digest: str) -> str:
        """Where the file of this content lies."""
        return f"{self._root}/{digest[:2]}/{digest}"

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its SHA-256. Content that is already there counts as new again."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.address(digest)
        if not self._touched(target):
            # Written aside and moved: a killed writer leaves no half file under a good name.
            aside = f"{target}.{uuid.uuid4().hex}.part"
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            try:
                self._fs.pipe_file(aside, data)
                self._fs.mv(aside, target)
            except OSError:
                if self._fs.exists(aside):  # on a full disk half a file only takes room
                    self._fs.rm(aside)
                raise
        return digest

    def _touched(self, target: str) -> bool:
        """Make a file that is there young, so that no collector of garbage takes it meanwhile.

        False where it has to be written, which is the only way to make an object young.
        """
        if not self._local:
            return False
        try:
            os.utime(target)
        except FileNotFoundError:
            return False
        return True

    def entries(self) -> Iterator[Stored]:
        """All files, half ones of killed writers included, whose key is their whole name."""
        self._fs.invalidate_cache()
        found = self._fs.find(self._root, detail=True) if self._fs.exists(self._root) else {}
        for path, information in found.items():
            name = str(path).rpartition("/")[2]
            yield Stored(name, str(path), int(information["size"]), modified_at(information))

    def remove(self, stored: Stored, unless_newer_than: datetime) -> bool:
        """Delete a file; whether it was deleted: not if it was wanted again or is gone."""
        return remove_old(self._fs, stored.path, stored.path, unless_newer_than)

    def has(self, digest: str) -> bool:
        """Whether content of this SHA-256 was kept."""
        return bool(self._fs.exists(self.address(digest)))

    def get(self, digest: str) -> bytes:
        """Content by its SHA-256.

        Raises:
            FileNotFoundError: nothing of this content was kept.
        """
        data: bytes = self._fs.cat_file(self.address(digest))
        return data


def remove_old(fs: Any, path: str, witness: str, unless_newer_than: datetime) -> bool:
    """Delete a file or folder unless its witness was written lately.

    Args:
        fs: the file system.
        path: what to delete, folders whole.
        witness: file whose time is asked for.
        unless_newer_than: time from which on the witness saves it.
    """
    try:
        if modified_at(fs.info(witness)) >= unless_newer_than:
            return False
        fs.rm(path, recursive=True)
    except FileNotFoundError:
        return False
    return True
