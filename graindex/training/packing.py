"""Files of a bundle into a folder, a zip or a tar: the same bytes for the same files.

Out of scope: which files (`graindex.training.bundle`).
"""

import gzip
import hashlib
import io
import shutil
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from graindex.errors import GraindexError, InputError
from graindex.training.unpacking import is_archive

_MODE = 0o644
_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Target(Protocol):
    def write(self, name: str, data: bytes) -> None: ...


class Packing:
    """A bundle being written; keeps the checksum of every file.

    Attributes:
        checksums: SHA-256 by name, in the order of writing.
        size_bytes: of all files.
    """

    def __init__(self, target: _Target) -> None:
        self._target = target
        self.checksums: dict[str, str] = {}
        self.size_bytes = 0

    def add(self, name: str, data: bytes) -> None:
        """Write one file."""
        self.checksums[name] = hashlib.sha256(data).hexdigest()
        self.size_bytes += len(data)
        self._target.write(name, data)

    def checksum_lines(self) -> bytes:
        """The checksums as `sha256sum --check` reads them."""
        lines = (f"{digest}  {name}\n" for name, digest in sorted(self.checksums.items()))
        return "".join(lines).encode()


@contextmanager
def packing(path: Path) -> Iterator[Packing]:
    """A bundle at `path`, by its ending; it appears whole when the block ends, or not at all.

    Raises:
        InputError: a folder of this name holds something, or the disk refuses.
    """
    if path.exists() and not is_archive(path) and (path.is_file() or any(path.iterdir())):
        message = f"{path} is there already; name a new folder, or a file .zip, .tar or .tar.gz"
        raise InputError(message)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            yield Packing(_target(path, aside, stack))
        if path.is_dir():
            path.rmdir()
        aside.replace(path)
    except GraindexError:
        raise  # of an original that cannot be read, which is an OSError as well
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise InputError(message) from error
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        aside.unlink(missing_ok=True)


def _target(path: Path, aside: Path, stack: ExitStack) -> _Target:
    if not is_archive(path):
        return _Folder(aside)
    name = path.name.lower()
    if name.endswith(".zip"):
        return _Zip(stack.enter_context(zipfile.ZipFile(aside, "w")))
    sink = stack.enter_context(aside.open("wb"))
    if name.endswith("gz"):  # without a time or a name of its own in the header
        zipped = gzip.GzipFile("", "wb", compresslevel=1, fileobj=sink, mtime=0)
        return _Tar(
            stack.enter_context(tarfile.open(mode="w", fileobj=stack.enter_context(zipped)))
        )
    return _Tar(stack.enter_context(tarfile.open(mode="w", fileobj=sink)))


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, data: bytes) -> None:
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


class _Zip:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def write(self, name: str, data: bytes) -> None:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.external_attr = (0o100000 | _MODE) << 16
        info.create_system = 3
        self._file.writestr(info, data)


class _Tar:
    def __init__(self, file: tarfile.TarFile) -> None:
        self._file = file

    def write(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), _MODE
        self._file.addfile(info, io.BytesIO(data))
