"""Files named by the SHA-256 of their content: thumbnails now, label volumes and models later.

Out of scope: originals, which stay where they are.
"""

import hashlib
import uuid

import fsspec

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


class FileStore:
    """Content-addressed files below the store's data."""

    def __init__(self, location: Location) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(location.under("files"))

    def address(self, digest: str) -> str:
        """Where the file of this content lies."""
        return f"{self._root}/{digest[:2]}/{digest}"

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its SHA-256. Content that is already there is not written again."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.address(digest)
        if not self._fs.exists(target):
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
