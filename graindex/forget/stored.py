"""What lies beside the lake: vectors, files, volumes, copies of originals, unfinished rows.

Out of scope: rows (`graindex.forget.erasing`).
"""

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from graindex.files import Stored
from graindex.forget.lake_files import LakeFiles
from graindex.forget.target import Target
from graindex.history.garbage import Tally
from graindex.history.snapshots import snapshots
from graindex.history.stored_files import named_addresses
from graindex.history.vector_garbage import VectorGarbage

if TYPE_CHECKING:
    from graindex.store import Store

_NOW = timedelta(0)


def erase_vectors(store: "Store", files: LakeFiles, target: Target) -> None:
    """Remove vectors from the tables of today, from kept ones and from all old versions.

    Vectors that other rows of the index name at any snapshot are kept. Call it when the rows of
    the image are gone from the index.
    """
    vectors = store.vectors
    touched = [
        name
        for name in vectors.names()
        if name in target.vectors or vectors.read_images(name, target.ids).num_rows
    ]
    if not touched:
        return
    for name in touched:
        vectors.erase(name, target.ids)
    files.look_again()
    columns = ("vector_table", "vector_hash")
    named = set(files.select("vector_index", columns, "vector_hash IS NOT NULL"))
    with vectors.alone():
        made = snapshots(store.lake)
        garbage = VectorGarbage(store, _NOW, Tally(), dry_run=False)
        garbage.secure(made, {snapshot.number for snapshot in made})
        for name in touched:
            hashes = [one for one in target.vectors.get(name, ()) if (name, one) not in named]
            vectors.erase_kept(name, hashes)
            vectors.prune(name, _NOW)


def stored_only_for(store: "Store", addresses: Iterable[str]) -> list[Stored]:
    """Files and volumes of these addresses that no row names at any snapshot."""
    wanted = set(addresses)
    found = [
        each
        for each in (*store.files.entries(), *store.volume_store.entries())
        if each.key in wanted
    ]
    if not found:
        return []
    made = snapshots(store.lake)
    named = named_addresses(store, made, {snapshot.number for snapshot in made})
    return [each for each in found if each.key not in named]


def remove_stored(store: "Store", addresses: Iterable[str]) -> None:
    """Remove files and volumes of these addresses that no row names at any snapshot."""
    for each in stored_only_for(store, addresses):
        if each.kind:
            store.volume_store.remove(each.kind, each.key)
        else:
            store.files.remove(each, datetime.now(UTC) + timedelta(days=1))


def copies(store: "Store", target: Target) -> list[Path]:
    """Files and folders of the image that were copied into the home."""
    base = Path(store.location.under("originals"))
    places = (Path(uri) for uri in target.uris if "://" not in uri)
    return [place for place in places if place.is_relative_to(base) and place.exists()]


def remove_copies(store: "Store", target: Target) -> None:
    """Remove copies of the image's originals."""
    for place in copies(store, target):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def elsewhere(store: "Store", target: Target) -> list[str]:
    """Originals that are not the store's: it only refers to them."""
    own = {str(place) for place in copies(store, target)}
    return [uri for uri in target.uris if uri not in own and _is_there(uri)]


def _is_there(uri: str) -> bool:
    return "://" in uri or Path(uri).exists()


def unfinished(store: "Store", target: Target) -> list[Path]:
    """Folders of rows that killed runs of the collection left to go on from."""
    base = Path(store.location.under("work"))
    return [place for place in sorted(base.glob(f"*/{target.dataset}")) if place.is_dir()]


def remove_unfinished(store: "Store", target: Target) -> None:
    """Remove rows that killed runs of the collection left: their next run starts anew."""
    for place in unfinished(store, target):
        shutil.rmtree(place, ignore_errors=True)


def vectors_found(store: "Store", target: Target) -> Iterator[tuple[str, int, int, int]]:
    """Tables of vectors: name, vectors of now, kept ones, and old versions."""
    for name in store.vectors.names():
        now = store.vectors.read_images(name, target.ids).num_rows
        kept = len(store.vectors.kept(name) & set(target.vectors.get(name, ())))
        if now or kept or name in target.vectors:
            yield name, now, kept, len(store.vectors.versions(name)) - 1
