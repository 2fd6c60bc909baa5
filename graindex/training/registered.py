"""Training sets that the store keeps, and what became of them when they are built again.

Out of scope: building (`graindex.training.training_set`), models trained on them.
"""

import hashlib
import io
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from graindex.ducklake import CATALOG
from graindex.errors import InputError
from graindex.features.definition import FeatureSet, VectorFeature
from graindex.features.registry import registered_feature_set
from graindex.forget.withdrawn import rows_withdrawn
from graindex.training.assembling import ROW_COLUMNS
from graindex.training.comparison import Comparison, compare, withdrawn_rows
from graindex.training.request import parse_request
from graindex.training.training_set import CODE_VERSION, TrainingSet, build_training_set
from graindex.vector_history import index_as_of
from schemas.arrow import from_records
from schemas.ddl import literal
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store


def register_training_set(store: "Store", training_set: TrainingSet, *, author: str) -> str:
    """Keep a training set: its rows as a Parquet file and in SQL, what was asked for beside.

    Its snapshot is kept by `graindex gc` from then on. A set that is kept already stays as it is,
    unless its snapshot was removed: then it is kept from the new one.

    Args:
        store: the store.
        training_set: the set.
        author: who keeps it: a person, or an asset and its run.

    Returns:
        Its key, `training_set_id`.

    Raises:
        HomeError: the home cannot be written.
    """
    key = training_set.training_set_id
    if any(_has_snapshot(store, record["lake_snapshot"]) for record in _records(store, key)):
        return key
    record = {
        "training_set_id": key,
        "fingerprint": training_set.fingerprint,
        "feature_set": training_set.feature_set.definition.name,
        "feature_set_version": training_set.feature_set.version,
        "label_name": training_set.request.label.name,
        "request": training_set.request.text(),
        "lake_snapshot": training_set.lake_snapshot,
        "row_count": len(training_set),
        "feature_count": len(training_set.names),
        "content": store.files.put(training_set.parquet()),
        "author": author,
        "recorded_at": datetime.now(UTC),
        "code_version": CODE_VERSION,
    }
    tables = {
        "training_sets": from_records(TABLES["training_sets"], [record]),
        "training_rows": _training_rows(store, training_set),
    }
    store.lake.put(tables, author=author, message=f"training set {key}")
    return key


def _training_rows(store: "Store", training_set: TrainingSet) -> pa.Table:
    rows = training_set.rows
    count = rows.num_rows
    own = {
        "training_set_id": pa.repeat(training_set.training_set_id, count),
        "entity_kind": pa.repeat(str(training_set.kind), count),
        "vector_hash": pa.array(_vector_hashes(store, training_set), pa.string()),
        "row_hash": pa.array(training_set.row_hashes),
    }
    names = TABLES["training_rows"].columns
    return pa.table({name: own[name] if name in own else rows[name] for name in names})


def _vector_hashes(store: "Store", training_set: TrainingSet) -> list[str | None]:
    """Which vector each image had; null where features are not made of it."""
    by_image: dict[str, str] = {}
    table = vector_table(store, training_set.feature_set.definition)
    if training_set.kind == "micrograph" and table is not None:
        for dataset in training_set.rows["dataset"].unique().to_pylist():
            index = index_as_of(store, dataset, training_set.lake_snapshot, table)
            columns = (index[name].to_pylist() for name in ("micrograph_id", "vector_hash"))
            by_image |= dict(zip(*columns, strict=True))
    return [by_image.get(key) for key in training_set.rows["entity_id"].to_pylist()]


def vector_table(store: "Store", definition: FeatureSet) -> str | None:
    """The first table of vectors that features are made of; None where there is none."""
    own = (entry.vector for entry in definition.features if isinstance(entry, VectorFeature))
    included = (registered_feature_set(store, name).definition for name in definition.include)
    inner = (vector_table(store, other) for other in included)
    return next((name for name in chain(own, inner) if name is not None), None)


def rebuild(store: "Store", training_set_id: str) -> Comparison:
    """Build a kept training set again from its snapshot, and compare it row by row.

    Where the snapshot was removed, the stored file is compared with the kept hashes instead.

    Raises:
        InputError: no such training set is kept.
        GraindexError: it cannot be built again, and why.
    """
    record = _record(store, training_set_id)
    kept = store.lake.query(
        f"FROM {CATALOG}.training_rows WHERE training_set_id = {literal(record['training_set_id'])}"
        " ORDER BY dataset, entity_id"
    )
    withdrawn = _withdrawn(store)
    lost = rows_withdrawn(store, record["training_set_id"])
    stored = _stored(store, record)
    fingerprint, snapshot = record["fingerprint"], record["lake_snapshot"]
    if _has_snapshot(store, snapshot):
        built = build_training_set(store, parse_request(record["request"]))
        table = None if stored is None else stored.table
        notes = _notes(record, stored)
        return compare(
            kept, fingerprint, built, table, withdrawn, source="rebuilt", notes=notes, lost=lost
        )
    notes = (f"snapshot {snapshot} was removed, so that it cannot be built again",)
    if stored is not None:
        return compare(
            kept, fingerprint, stored, None, withdrawn, source="stored", notes=notes, lost=lost
        )
    excused = withdrawn_rows(kept, withdrawn)
    ids = kept["entity_id"].to_pylist()
    return Comparison(
        record["training_set_id"],
        source="gone",
        equal=False,
        row_count=record["row_count"],
        lost=lost,
        withdrawn=tuple(key for key in ids if key in excused),
        missing=tuple(key for key in ids if key not in excused),
        notes=notes,
    )


def stored_training_set(store: "Store", training_set_id: str) -> TrainingSet:
    """A kept training set as it was stored, without building it.

    Raises:
        InputError: no such training set is kept, or its file is gone.
    """
    record = _record(store, training_set_id)
    stored = _stored(store, record)
    if stored is None:
        message = f"the rows of training set {training_set_id} are gone; build it again"
        raise InputError(message)
    return stored


def _notes(record: dict[str, Any], stored: TrainingSet | None) -> tuple[str, ...]:
    notes = []
    if record["code_version"] != CODE_VERSION:
        notes.append(f"it was built by code {record['code_version']}, now by {CODE_VERSION}")
    if stored is None:
        notes.append("its stored file is gone; columns were not compared")
    return tuple(notes)


def _records(store: "Store", training_set_id: str) -> list[dict[str, Any]]:
    where = f"training_set_id = {literal(training_set_id)}"
    rows: list[dict[str, Any]] = store.lake.query(
        f"FROM {CATALOG}.training_sets WHERE {where}"
    ).to_pylist()
    return rows


def _record(store: "Store", training_set_id: str) -> dict[str, Any]:
    found = _records(store, training_set_id)
    if not found:
        message = (
            f"no training set {training_set_id!r} is kept; see graindex sql 'FROM training_sets'"
        )
        raise InputError(message)
    return found[0]


def _stored(store: "Store", record: dict[str, Any]) -> TrainingSet | None:
    """The set as it was stored; None where its file is gone or damaged."""
    try:
        data = store.files.get(record["content"])
    except FileNotFoundError:
        return None
    if hashlib.sha256(data).hexdigest() != record["content"]:
        return None
    table = pq.read_table(io.BytesIO(data))
    request = parse_request(record["request"])
    features = table.column_names[len(ROW_COLUMNS) :]
    return TrainingSet(
        request,
        registered_feature_set(store, request.feature_set),
        table.select(ROW_COLUMNS),
        table.select(features),
        counts={},
    )


def _has_snapshot(store: "Store", snapshot: int) -> bool:
    sql = f"SELECT 1 FROM {CATALOG}.snapshots() WHERE snapshot_id = {snapshot:d}"
    return bool(store.lake.query(sql).num_rows)


def _withdrawn(store: "Store") -> set[str]:
    """Ids and content hashes of everything withdrawn."""
    rows = store.lake.read("withdrawals", columns=("entity_id", "content_hash"))
    return {key for name in rows.column_names for key in rows[name].to_pylist() if key}
