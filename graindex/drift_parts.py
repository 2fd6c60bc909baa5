"""What is compared for drift: collections, sessions, halves of sessions, sides of training sets.

Out of scope: the comparison itself (`graindex.drift`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from graindex.class_labels import image_count
from graindex.ducklake import CATALOG
from graindex.errors import QueryError
from schemas.ddl import literal
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

_SAME = ("material", "composition")
"""Columns of `samples` of which collections must share a value to be compared."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Images that are compared with others.

    Attributes:
        compared: the part that is looked at, as kind and name.
        reference: what it is compared with, as kind and name.
        ids: images of the part.
        others: images of the reference.
        over_time: whether the reference comes before the part, both in the order of time. What is
            looked at within a session may well differ, so that vectors are not compared; its
            brightness should not.
    """

    compared: str
    reference: str
    ids: tuple[str, ...]
    others: tuple[str, ...]
    over_time: bool = False


def parts_of(store: "Store", dataset: str, least: int) -> list[Parts]:
    """All that is compared within a collection, each side of at least `least` images."""
    if image_count(store, dataset) < least:
        return []
    images = store.table(
        f"SELECT micrograph_id, sample_id, session_id, acquired_at, {', '.join(_SAME)} "
        f"FROM micrograph_catalog WHERE dataset = {literal(dataset)} "
        "ORDER BY acquired_at, micrograph_id"
    )
    found = [
        *_sessions(images, dataset),
        *_halves(images),
        *_collections(store, dataset, images),
        *_training_sets(store, dataset, images),
    ]
    return [parts for parts in found if min(len(parts.ids), len(parts.others)) >= least]


def _sessions(images: pa.Table, dataset: str) -> Iterable[Parts]:
    """Each session and the others of the collection; of two the later one only."""
    dated = images.filter(pc.is_valid(images["session_id"]))
    sessions = dated["session_id"].unique().to_pylist()
    for session in sessions[1:] if len(sessions) == 2 else sessions:
        inside = pc.equal(dated["session_id"], session)
        yield Parts(
            f"session {session}",
            f"other sessions of {dataset}",
            _ids(dated.filter(inside)),
            _ids(dated.filter(pc.invert(inside))),
        )


def _halves(images: pa.Table) -> Iterable[Parts]:
    """The later half of each session and the earlier one."""
    dated = images.filter(pc.is_valid(images["session_id"]))
    for session in dated["session_id"].unique().to_pylist():
        ids = _ids(dated.filter(pc.equal(dated["session_id"], session)))
        middle = len(ids) // 2
        yield Parts(
            f"later half of session {session}",
            f"earlier half of session {session}",
            ids[middle:],
            ids[:middle],
            over_time=True,
        )


def _collections(store: "Store", dataset: str, images: pa.Table) -> Iterable[Parts]:
    """The collection and those before it by name, as far as they hold the same material."""
    own = _by_material(images)
    if not own:
        return
    for other in sorted(name for name in store.datasets() if name < dataset):
        rows = store.table(
            f"SELECT micrograph_id, {', '.join(_SAME)} FROM micrograph_catalog "
            f"WHERE dataset = {literal(other)} ORDER BY micrograph_id"
        )
        theirs = _by_material(rows)
        shared = sorted(own.keys() & theirs.keys())
        if shared:
            yield Parts(
                f"collection {dataset}",
                f"collection {other}",
                _union(own[key] for key in shared),
                _union(theirs[key] for key in shared),
            )


def _by_material(images: pa.Table) -> dict[tuple[str, str], list[str]]:
    """Images by the columns of `_SAME` and their values."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in images.select(["micrograph_id", *_SAME]).to_pylist():
        for column in _SAME:
            if row[column] is not None:
                found.setdefault((column, row[column]), []).append(row["micrograph_id"])
    return found


def _training_sets(store: "Store", dataset: str, images: pa.Table) -> Iterable[Parts]:
    """What of the collection tests, and what trains, in each registered training set."""
    ids = set(images["micrograph_id"].to_pylist())
    rows = _training_rows(store, dataset)
    for key in sorted(set(rows["training_set_id"].to_pylist())):
        members = rows.filter(pc.equal(rows["training_set_id"], key))
        train = _side(members, "train")
        test = tuple(one for one in _side(members, "test") if one in ids)
        yield Parts(f"test side of {key}", f"training side of {key}", test, train)
        folded = members.filter(pc.equal(members["side"], "cross-validation"))
        for fold in sorted(set(folded["fold"].drop_null().to_pylist())):
            inside = pc.fill_null(pc.equal(folded["fold"], fold), False)
            yield Parts(
                f"fold {fold} of {key}",
                f"other folds of {key}",
                tuple(one for one in _ids(folded.filter(inside)) if one in ids),
                _ids(folded.filter(pc.invert(inside))),
            )


def _training_rows(store: "Store", dataset: str) -> pa.Table:
    """Images in training sets that test images of the collection: `micrograph_id, side, fold`."""
    name = literal(dataset)
    try:
        return store.lake.query(
            f"""
            SELECT DISTINCT t.training_set_id, m.micrograph_id, t.side, t.fold
            FROM {CATALOG}.training_rows t JOIN {CATALOG}.micrographs m
              ON m.dataset = t.dataset
             AND (t.entity_kind = 'micrograph' AND m.micrograph_id = t.entity_id
                  OR t.entity_kind = 'sample' AND m.sample_id = t.entity_id)
            WHERE t.training_set_id IN (
                SELECT training_set_id FROM {CATALOG}.training_rows
                WHERE dataset = {name} AND side <> 'train'
            ) ORDER BY ALL
            """
        )
    except QueryError:  # a home made before there were training sets
        columns = (*TABLES["training_rows"].key, "micrograph_id", "side", "fold")
        return pa.table({column: pa.array([], pa.string()) for column in columns})


def _side(rows: pa.Table, side: str) -> tuple[str, ...]:
    return _ids(rows.filter(pc.equal(rows["side"], side)))


def _ids(rows: pa.Table) -> tuple[str, ...]:
    return tuple(rows["micrograph_id"].to_pylist())


def _union(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({one for part in parts for one in part}))
