"""Files of a volume as local paths and as hashes, wherever they lie.

A single file behind a URL is fetched once into a temporary file: its readers need to seek, and
would ask for thousands of small pieces.
Out of scope: what is in them.
"""

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

_BLOCK = 1 << 22


class LocalFile:
    """One file on a local path; a temporary copy is removed when closed or forgotten."""

    def __init__(self, fs: Any, path: str) -> None:
        self._copy: Any = None
        if isinstance(fs, LocalFileSystem):
            self.path = Path(path)
            return
        self._copy = tempfile.NamedTemporaryFile(prefix="graindex-")  # noqa: SIM115
        try:
            fs.get_file(path, self._copy.name)
        except BaseException:
            self._copy.close()
            raise
        self.path = Path(self._copy.name)

    def sha256(self) -> str:
        """SHA-256 of the bytes, streamed."""
        with self.path.open("rb") as file:
            return _digest(file)

    def close(self) -> None:
        """Remove the copy, if it is one."""
        if self._copy is not None:
            self._copy.close()


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def members_sha256(fs: Any, root: str, names: Iterable[str]) -> str:
    """SHA-256 over the relative names, sorted, and the bytes of several files, streamed."""
    whole = hashlib.sha256()
    for name in sorted(names):
        encoded = name.encode("utf-8", "surrogateescape")
        with fs.open(f"{root}/{name}", "rb") as file:
            inner = _digest(cast("BinaryIO", file))
        whole.update(b"%d:%s%s" % (len(encoded), encoded, inner.encode()))
    return whole.hexdigest()


def locate(uri: str) -> tuple[Any, str, str]:
    """Return the file system of a URI, the path there, and its last part for messages."""
    fs, path = fsspec.core.url_to_fs(uri)
    path = path.rstrip("/") or path
    return fs, path, path.rsplit("/", 1)[-1] or uri
