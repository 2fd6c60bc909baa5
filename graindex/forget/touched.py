"""What withdrawing an image touches, counted before anything is removed.

Out of scope: removing it (`graindex.forget.withdraw`), and Dagster's runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graindex.forget.found import found_rows
from graindex.forget.lake_files import LakeFiles
from graindex.forget.marks import SPARED
from graindex.forget.stored import copies, elsewhere, unfinished, vectors_found
from graindex.forget.target import Target
from graindex.forget.trained import Seen, sets_that_saw
from schemas.ddl import literal

if TYPE_CHECKING:
    from graindex.store import Store


@dataclass(frozen=True, slots=True)
class TouchedThing:
    """One line of the list.

    Attributes:
        what: a table, or another thing.
        now: how many of now are removed, or marked.
        snapshots: in how many snapshots that are kept; None where that is no question.
        note: what else to say.
    """

    what: str
    now: int
    snapshots: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Touched:
    """What withdrawing one image or volume touches.

    Attributes:
        target: the image or volume.
        things: what is removed, or marked.
        seen: training sets and models that saw it.
        notes: what stays, and what is not known.
    """

    target: Target
    things: tuple[TouchedThing, ...]
    seen: tuple[Seen, ...]
    notes: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """Models that saw it, as ``name@version``."""
        found = {model for each in self.seen for model in each.models}
        return [f"{name}@{version}" for name, version in sorted(found)]


def touched(store: "Store", files: LakeFiles, target: Target) -> Touched:
    """Everything that withdrawing touches; removes nothing."""
    seen = tuple(sets_that_saw(store, target))
    things = (*_rows(files, target), *_beside(store, target, seen))
    return Touched(target, things, seen, tuple(_notes(store, files, target, seen)))


def _rows(files: LakeFiles, target: Target) -> Iterator[TouchedThing]:
    for found in found_rows(files, target.marks()):
        if found.table not in SPARED:
            note = f"{found.ever} rows in all snapshots" if found.ever != found.now else ""
            yield TouchedThing(f"rows of {found.table}", found.now, found.snapshots, note)


def _beside(store: "Store", target: Target, seen: tuple[Seen, ...]) -> Iterator[TouchedThing]:
    for name, now, kept, old in vectors_found(store, target):
        note = f"{kept} kept for snapshots, {old} old versions of the table"
        yield TouchedThing(f"vectors of {name}", now, note=note)
    wanted = set(target.addresses)
    files = [each for each in store.files.entries() if each.key in wanted]
    volumes = [each for each in store.volume_store.entries() if each.key in wanted]
    size = sum(file.size_bytes for file in files)
    shared = "those that other rows name stay"
    if files:
        yield TouchedThing("thumbnails, masks, overlays", len(files), note=f"{size} B; {shared}")
    if volumes:
        yield TouchedThing("volumes", len(volumes), note=shared)
    for what, places in (
        ("copies of originals", copies(store, target)),
        ("unfinished runs of its collection", unfinished(store, target)),
    ):
        if places:
            yield TouchedThing(what, len(places), note=", ".join(map(str, places)))
    if seen:
        told = ", ".join(f"{each.training_set_id} ({each.row_count} rows)" for each in seen)
        yield TouchedThing("training sets", len(seen), note=told)
    models = sorted({f"{name}@{version}" for each in seen for name, version in each.models})
    if models:
        note = f"{', '.join(models)}: marked; weights stay"
        yield TouchedThing("models that saw it", len(models), note=note)


def _notes(
    store: "Store", files: LakeFiles, target: Target, seen: tuple[Seen, ...]
) -> Iterator[str]:
    for uri in elsewhere(store, target):
        yield f"the original {uri} is not the store's: it stays, and is refused from now on"
    if len(target.ids) > 1:
        yield f"one file: {', '.join(target.ids)} are withdrawn together"
    columns = ("dataset", f"{target.kind}_id")
    table, name = (
        ("micrographs", "content_hash") if target.kind == "micrograph" else ("volumes", "grey_hash")
    )
    same = f"{name} = {literal(target.content_hash)}"
    for dataset, key, _ in files.select(table, (*columns, name), same):
        if dataset != target.dataset:
            yield f"the same bytes are {key} of {dataset!r}, which stays: withdraw it as well"
    if seen:
        yield "bundles and models that were passed on cannot be known, nor changed"
