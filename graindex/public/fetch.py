"""Bringing a public collection into a folder: several files at once, verified, unpacked, noted.

Out of scope: asking the user (`orchestration.cli.fetching`).
"""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from graindex.errors import CollectionError, HomeError
from graindex.progress import report
from graindex.public.download import download, matches, part_of, set_aside
from graindex.public.notebook import Notebook
from graindex.public.offer import Download, Offer
from graindex.public.recipe import STAGING
from graindex.public.web import Web
from graindex.registration import Registered, register_collection
from graindex.training.unpacking import ARCHIVES, unpack

if TYPE_CHECKING:
    from graindex.store import Store

_LOOK_S = 0.2
_SPARE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """What fetching did.

    Attributes:
        folder: where the files lie.
        downloaded: files brought in now.
        kept: files that were there already and right.
    """

    folder: Path
    downloaded: int
    kept: int


def fetch(offer: Offer, folder: Path, web: Web) -> Fetched:
    """Bring in all files that are not there yet; run again, it goes on where it was stopped.

    A file of the folder that is not as it should be is set aside and brought in anew. Files without
    a published checksum are held to what the first fetch brought.

    Raises:
        CollectionError: a server refuses, a file is wrong, or another process is at it.
        HomeError: the folder cannot be written, or the disk has no room.
    """
    staging = folder / STAGING
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror or error}"
        raise HomeError(message) from error
    with _alone(staging):
        notes = Notebook.read(staging, offer)
        wanted = [_as_noted(file, notes) for file in offer.files]
        missing = [file for file in wanted if not _is_there(file, folder, notes)]
        _check_room(missing, staging)
        try:
            _download_all(offer.recipe.name, missing, folder, web, notes)
        finally:
            notes.save()
    return Fetched(folder, downloaded=len(missing), kept=len(wanted) - len(missing))


def collection_folder(offer: Offer, folder: Path) -> Path:
    """The folder to be registered.

    Raises:
        CollectionError: there is none, or several fit.
    """
    pattern = offer.recipe.collection
    found = sorted(folder.glob(pattern)) if pattern else [folder]
    if len(found) != 1:
        message = (
            f"{folder} has {len(found)} folders {pattern!r}; "
            "register the right one with graindex add"
        )
        raise CollectionError(message)
    return found[0]


def register_fetched(store: "Store", offer: Offer, folder: Path) -> Registered:
    """Register fetched files exactly as `graindex add` would.

    Raises:
        CollectionError: what lies there is not what the recipe describes.
    """
    recipe = offer.recipe
    return register_collection(
        store,
        str(collection_folder(offer, folder)),
        dataset=recipe.name,
        samples_uri=str((folder / recipe.samples).absolute()) if recipe.samples else None,
        description=recipe.description,
        source=recipe.source,
        licence=offer.licence.text(),
        citation=recipe.citation,
        **recipe.settings,
    )


@contextmanager
def _alone(staging: Path) -> Iterator[None]:
    try:
        with FileLock(staging / "busy.lock", timeout=0):
            yield
    except Timeout as error:
        message = f"another process fetches into {staging.parent}; wait for it"
        raise CollectionError(message) from error


def _as_noted(file: Download, notes: Notebook) -> Download:
    """A file with the strictest checksum known of it: the recipe's, else the first fetch's."""
    if file.checksum and file.checksum.startswith("sha256:"):
        return file
    noted = notes.archives.get(file.path) if file.unpack else notes.files.get(file.path)
    return file if noted is None else replace(file, checksum=f"sha256:{noted.sha256}")


def _is_there(file: Download, folder: Path, notes: Notebook) -> bool:
    """Whether a file, or all that was in an archive, lies there as it should."""
    if file.unpack:
        members = notes.members(file.path)
        return bool(members) and all(
            _holds(folder / path, f"sha256:{note.sha256}") for path, note in members.items()
        )
    target = folder / file.path
    if not target.exists():
        return False
    if file.checksum is not None and _holds(target, file.checksum):
        notes.add(file, target)
        return True
    set_aside(target, file.path, folder / STAGING)
    return False


def _holds(path: Path, checksum: str) -> bool:
    return path.is_file() and matches(path, checksum)


def _check_room(missing: list[Download], staging: Path) -> None:
    parts = [part_of(file, staging) for file in missing]
    held = sum(part.stat().st_size for part in parts if part.exists())
    # An archive and what is in it lie side by side for a while.
    needed = sum((file.size_bytes or 0) * (2 if file.unpack else 1) for file in missing) - held
    free = shutil.disk_usage(staging).free
    if missing and needed + _SPARE_BYTES > free:
        message = (
            f"{staging.parent} has {free / 1e6:.0f} MB free for {needed / 1e6:.0f} MB to come; "
            "make room or give --to"
        )
        raise HomeError(message)


def _download_all(
    name: str, missing: list[Download], folder: Path, web: Web, notes: Notebook
) -> None:
    """Download in threads, telling how far it is from this one; the first failure ends it."""
    stop, gained = threading.Event(), _Counter()
    total = sum(file.size_bytes or 0 for file in missing)
    measured = all(file.size_bytes is not None for file in missing)
    finished: list[str] = []

    def one(file: Download) -> None:
        target = _place(file, folder)
        download(file, target, folder / STAGING, web=web, tell=gained.add, stop=stop)
        notes.add(file, target)
        if file.unpack:
            _unpack(file, target, folder, notes)
        finished.append(file.path)

    def tell() -> None:
        if measured:
            report(f"fetching {name}, kB", min(gained.value, total) // 1000, total // 1000)
        else:
            report(f"fetching {name}, files", len(finished), len(missing))

    with ThreadPoolExecutor(web.threads) as pool:
        pending = {pool.submit(one, file) for file in missing}
        try:
            while pending:
                done, pending = wait(pending, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
                tell()
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    tell()


class _Counter:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.value += count


def _place(file: Download, folder: Path) -> Path:
    """Where a whole file goes: archives stay in the staging folder until they are unpacked."""
    return folder / STAGING / "archives" / file.path if file.unpack else folder / file.path


def _unpack(file: Download, archive: Path, folder: Path, notes: Notebook) -> None:
    """Replace an archive by a folder of its name with what was in it."""
    ending = next(e for e in sorted(ARCHIVES, key=len)[::-1] if file.path.lower().endswith(e))
    target = folder / file.path[: -len(ending)]
    aside = archive.with_name(f"{archive.name}.unpacked")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        unpack(archive, aside)
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    notes.add_members(file, target, folder)
    archive.unlink()
