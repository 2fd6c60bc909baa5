"""One file from a server: gone on with where it was cut, and verified before it is in its place.

Out of scope: which files there are (`graindex.public.offer`).
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import requests
from pooch import file_hash
from pooch.downloaders import HTTPDownloader

from graindex.errors import CollectionError, HomeError
from graindex.public.offer import Download
from graindex.public.web import PASSING, Web, refusal

_AT_ONCE = 1 << 14
"""Bytes that a cut connection may cost: of each part all arrives or nothing is kept."""
_RANGE_NOT_SATISFIABLE = 416

Tell = Callable[[int], None]
"""Called with bytes gained; negative where a file has to start anew."""


class StoppedError(Exception):
    """Another file failed, or the user interrupted."""


def part_of(file: Download, staging: Path) -> Path:
    """Where the bytes of an unfinished file are kept; another address has another place."""
    key = hashlib.sha256(f"{file.url}\n{file.path}\n{file.checksum}".encode()).hexdigest()
    return staging / f"{key[:24]}.part"


def download(
    file: Download, target: Path, staging: Path, *, web: Web, tell: Tell, stop: threading.Event
) -> None:
    """Bring a file in; what a killed or cut attempt left is gone on with.

    Args:
        file: what, with the checksum that it must have.
        target: where to put it once it is whole.
        staging: folder on the same disk for what is not.
        web: how to reach servers.
        tell: told of each bytes gained, those of earlier attempts included.
        stop: set to make it stop soon.

    Raises:
        CollectionError: the server refuses, cannot be reached, or what it sends is not the file.
        HomeError: the disk refuses.
    """
    part = part_of(file, staging)
    try:
        resumed = _complete(file, part, web, tell, stop)
        wrong = _difference(file, part)
        if wrong and resumed:
            # Bytes of two versions may have met; only a download in one piece convicts a server.
            tell(-part.stat().st_size)
            part.unlink()
            _complete(file, part, web, tell, stop)
            wrong = _difference(file, part)
        if wrong:
            aside = set_aside(part, file.path, staging)
            message = f"{file.url} is not the expected file: {wrong}; it was set aside as {aside}"
            raise CollectionError(message)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
    except OSError as error:
        if isinstance(error, CollectionError):
            raise
        message = f"{target} cannot be written: {error.strerror or error}; make room and run again"
        raise HomeError(message) from error


def set_aside(path: Path, name: str, staging: Path) -> Path:
    """Move a wrong file where nothing takes it for a right one."""
    aside = staging / "wrong" / name
    aside.parent.mkdir(parents=True, exist_ok=True)
    return path.replace(aside)


def matches(path: Path, checksum: str) -> bool:
    """Whether a file has a checksum such as ``sha256:…``."""
    algorithm, _, digest = checksum.partition(":")
    return str(file_hash(str(path), alg=algorithm)) == digest.lower()


def _difference(file: Download, part: Path) -> str | None:
    """What is wrong with a finished download."""
    size = part.stat().st_size
    if file.size_bytes is not None and size != file.size_bytes:
        return f"{size} bytes instead of {file.size_bytes}"
    if file.checksum is None or matches(part, file.checksum):
        return None
    algorithm, _, digest = file.checksum.partition(":")
    found = file_hash(str(part), alg=algorithm)
    return f"{algorithm} {found[:16]}… instead of {digest[:16]}…"


def _complete(file: Download, part: Path, web: Web, tell: Tell, stop: threading.Event) -> bool:
    """Stream until the server says that all is sent; returns whether bytes were there before."""
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    resumed = part.stat().st_size > 0
    tell(part.stat().st_size)
    failures = 0
    while True:
        if stop.is_set():
            raise StoppedError
        have = part.stat().st_size
        if file.size_bytes is not None and have == file.size_bytes:
            return resumed
        try:
            _stream(web.address(file.url), part, web, tell, stop)
        except requests.RequestException as error:
            gained = part.stat().st_size > have
            failures = 1 if gained else failures + 1
            _judge(error, file, part, web, tell, failures)
            resumed = resumed or gained
            stop.wait(web.wait_s(failures))
        else:
            return resumed


def _judge(
    error: requests.RequestException,
    file: Download,
    part: Path,
    web: Web,
    tell: Tell,
    failures: int,
) -> None:
    """Whether to try again.

    Raises:
        CollectionError: there is no use.
    """
    status = None if error.response is None else error.response.status_code
    if status == _RANGE_NOT_SATISFIABLE and failures < web.attempts:
        tell(-part.stat().st_size)
        part.write_bytes(b"")
        return
    if (status is not None and status not in PASSING) or failures >= web.attempts:
        raise CollectionError(refusal(web.address(file.url), error)) from error


class _Sink:
    """The unfinished file as Pooch's downloader writes to it."""

    def __init__(self, file: IO[bytes], tell: Tell, stop: threading.Event) -> None:
        self._file, self._tell, self._stop = file, tell, stop

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        if self._stop.is_set():
            raise StoppedError
        self._file.write(chunk)
        self._tell(len(chunk))

    def flush(self) -> None:
        """Nothing: the file is read only after it is closed."""

    def begin(self, answer: requests.Response, have: int) -> None:
        """Start anew where a server sends the whole file though a part was asked for."""
        if answer.is_redirect or not have or not answer.ok:
            return
        start = f"bytes {have}-"
        if answer.status_code == requests.codes.partial_content:
            if answer.headers.get("Content-Range", start).startswith(start):
                return
            message = "the server sends another part than was asked for"
            raise requests.ConnectionError(message)
        self._file.truncate(0)
        self._tell(-have)


def _stream(address: str, part: Path, web: Web, tell: Tell, stop: threading.Event) -> None:
    """One request that adds to the part what it lacks."""
    with part.open("ab") as file:
        have = file.tell()
        sink = _Sink(file, tell, stop)
        headers = {"Accept-Encoding": "identity", "User-Agent": "graindex"}
        if have:
            headers["Range"] = f"bytes={have}-"

        def begin(answer: requests.Response, *_: Any, **__: Any) -> None:
            sink.begin(answer, have)

        fetch = HTTPDownloader(
            chunk_size=_AT_ONCE, timeout=web.timeout_s, headers=headers, hooks={"response": begin}
        )
        fetch(address, sink, None)
