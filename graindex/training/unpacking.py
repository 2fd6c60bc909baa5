"""Archives from elsewhere as plain files in a folder, and nothing outside of it.

Out of scope: what a bundle holds (`graindex.training.bundle_reading`).
"""

import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import IO

from graindex.errors import BundleError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Endings of bundles that are archives; others are folders."""

_AT_ONCE = 1 << 20
_DAMAGES = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnpackingLimits:
    """What is too much to unpack.

    Attributes:
        ratio: bytes unpacked for each byte of the archive, beyond the first 64 MiB; images and
            Parquet files hardly shrink, tables as text do so tenfold.
        entries: files and folders.
    """

    ratio: float = 200
    entries: int = 2_000_000
    spare_bytes: int = 64 << 20


def is_archive(path: Path) -> bool:
    """Whether a bundle of this name is an archive rather than a folder."""
    return path.name.lower().endswith(ARCHIVES)


def checked_name(bundle: Path, name: str) -> str:
    """A file's name in a bundle, relative to it, if it stays inside.

    Raises:
        BundleError: it is absolute, climbs out, or is no plain path with forward slashes.
    """
    parts = name.removeprefix("./").split("/")
    drive = re.match(r"[A-Za-z]:", name)
    odd = drive or "\\" in name or not name.isprintable()
    if odd or any(part in {"", ".", ".."} for part in parts):
        message = (
            f"{bundle}: {name!r} is no path inside the bundle; do not use it, ask its sender how "
            "it was made"
        )
        raise BundleError(message)
    return "/".join(parts)


def unpack(archive: Path, folder: Path, limits: UnpackingLimits | None = None) -> None:
    """Write the files of a zip or tar archive below a folder.

    Every entry is checked before anything of it is written: no links, no devices, no paths that
    climb out, no name twice, and no more bytes than declared and than `limits` and the disk allow.

    Raises:
        BundleError: an entry is none of a bundle, or the archive is damaged.
    """
    kept = _Kept(archive, folder, limits or UnpackingLimits())
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    try:
        for member in members(archive):
            kept.take(member)
    except (*_DAMAGES, RuntimeError) as error:
        words = " ".join(str(error).split()) or type(error).__name__
        message = f"{archive} cannot be unpacked: {words}; get it again from its source"
        raise BundleError(message) from error
    except OSError as error:
        message = f"{archive} cannot be unpacked: {error.strerror or error}"
        raise BundleError(message) from error


@dataclass(frozen=True)
class _Member:
    name: str
    size_bytes: int
    kind: str
    open: "IO[bytes] | None" = None


class _Kept:
    """What was unpacked so far, so that the next entry can be refused."""

    def __init__(self, archive: Path, folder: Path, limits: UnpackingLimits) -> None:
        self._archive, self._folder, self._limits = archive, folder, limits
        self._names: set[str] = set()
        packed = limits.spare_bytes + limits.ratio * archive.stat().st_size
        self._room = min(packed, shutil.disk_usage(folder).free)

    def take(self, member: _Member) -> None:
        """Write one entry.

        Raises:
            BundleError: it is refused.
        """
        name = checked_name(self._archive, member.name.rstrip("/") or member.name)
        if member.kind == "folder":
            return
        if member.kind != "file" or member.open is None:
            self._refuse(f"{name!r} is {member.kind}, where only files may be")
        if name in self._names:
            self._refuse(f"{name!r} stands there twice")
        self._names.add(name)
        self._room -= member.size_bytes
        if self._room < 0 or len(self._names) > self._limits.entries:
            self._refuse(
                "it would unpack to far more than its own size, or than the disk holds; unpack it "
                "yourself if you trust it, and import the folder"
            )
        assert member.open is not None
        with member.open as source:
            self._write(name, source, member.size_bytes)

    def _write(self, name: str, source: IO[bytes], size_bytes: int) -> None:
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with target.open("xb") as file:
            while part := source.read(_AT_ONCE):
                written += len(part)
                if written > size_bytes:
                    break
                file.write(part)
        if written != size_bytes:
            self._refuse(f"{name!r} is not as long as the archive declares")

    def _refuse(self, what: str) -> None:
        message = f"{self._archive}: {what}"
        raise BundleError(message)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else "file"
            if stat.S_ISLNK(mode):
                kind = "a link"
            elif stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
                kind = "a device"
            elif info.flag_bits & 1:
                kind = "encrypted"
            opened = file.open(info) if kind == "file" else None
            # `filename` is cleaned up by the library; what the archive says is what counts.
            yield _Member(info.orig_filename, info.file_size, kind, opened)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as file:
        for info in file:
            if info.isdir():
                kind = "folder"
            elif info.issym() or info.islnk():
                kind = "a link"
            else:
                kind = "file" if info.isreg() and not info.issparse() else "a device"
            opened = file.extractfile(info) if kind == "file" else None
            yield _Member(info.name, info.size, kind, opened)
