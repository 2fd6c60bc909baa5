"""What a fetch brought in, written beside it, so that the next one can tell whether it is the same.

Out of scope: the store's own tables.
"""

import json
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pooch import file_hash

from graindex.errors import CollectionError
from graindex.public.offer import Download, Offer

NAME = "lock.json"


@dataclass(frozen=True, slots=True)
class Note:
    """One file that was brought in.

    Attributes:
        url: where it came from.
        size_bytes: its length.
        sha256: of its content.
        archive: path of the archive that it was in; None for files that came by themselves.
    """

    url: str
    size_bytes: int
    sha256: str
    archive: str | None = None


@dataclass
class Notebook:
    """All notes of a folder.

    Attributes:
        path: its file.
        origin: name, source, licence and citation of the collection.
        files: notes by path below the folder.
        archives: notes of archives that were unpacked, by path.
    """

    path: Path
    origin: dict[str, str]
    files: dict[str, Note] = field(default_factory=dict)
    archives: dict[str, Note] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, staging: Path, offer: Offer) -> "Notebook":
        """Notes of earlier fetches of the same collection, or none.

        Raises:
            CollectionError: the folder holds another collection, or its notes are damaged.
        """
        path = staging / NAME
        recipe = offer.recipe
        origin = {
            "name": recipe.name,
            "source": recipe.source,
            "licence": offer.licence.text(),
            "citation": recipe.citation,
        }
        if not path.exists():
            return cls(path, origin)
        try:
            said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            files, archives = _notes(said["files"]), _notes(said["archives"])
            name = said["origin"]["name"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{path} is damaged; remove it, and the next fetch looks at every file anew"
            raise CollectionError(message) from error
        if name != recipe.name:
            message = (
                f"{staging.parent} holds the collection {name!r}; give another folder with --to"
            )
            raise CollectionError(message)
        return cls(path, origin, files, archives)

    def members(self, archive: str) -> dict[str, Note]:
        """Files that came out of an archive."""
        return {path: note for path, note in self.files.items() if note.archive == archive}

    def add(self, file: Download, path: Path) -> None:
        """Note a file that is whole."""
        note = _note(path, file.url, None)
        with self._lock:
            (self.archives if file.unpack else self.files)[file.path] = note

    def add_members(self, archive: Download, target: Path, folder: Path) -> None:
        """Note what was in an archive, in place of what was noted of it before."""
        found = [path for path in sorted(target.rglob("*")) if path.is_file()]
        notes = {
            path.relative_to(folder).as_posix(): _note(path, archive.url, archive.path)
            for path in found
        }
        with self._lock:
            kept = {p: n for p, n in self.files.items() if n.archive != archive.path}
            self.files = kept | notes

    def save(self) -> None:
        """Write the notes; they appear whole or not at all."""
        said = {
            "origin": self.origin,
            "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {path: asdict(note) for path, note in sorted(self.files.items())},
            "archives": {path: asdict(note) for path, note in sorted(self.archives.items())},
        }
        aside = self.path.with_suffix(".new")
        aside.write_text(json.dumps(said, ensure_ascii=False, indent=1), encoding="utf-8")
        aside.replace(self.path)


def _notes(said: dict[str, dict[str, Any]]) -> dict[str, Note]:
    return {path: Note(**note) for path, note in said.items()}


def _note(path: Path, url: str, archive: str | None) -> Note:
    digest = str(file_hash(str(path), alg="sha256"))
    return Note(url, path.stat().st_size, digest, archive)
