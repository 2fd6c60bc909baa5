"""Where labels are found: statements, measured columns and columns of specimens.

Out of scope: which of them an entity takes (`graindex.training.labels`).
"""

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from graindex.ducklake import CATALOG
from graindex.entities import EntityKind
from graindex.errors import QueryError
from graindex.lake import AsOf, at_clause
from graindex.training.annotated import ANNOTATIONS
from graindex.training.label_files import COLLECTION, LabelError
from graindex.training.label_request import LabelRequest
from graindex.training.statements import label_columns, list_labels, statements_of
from schemas.arrow import empty
from schemas.ddl import literal, quote
from schemas.field import Kind
from schemas.fields import FIELDS
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

Level = tuple[tuple[EntityKind, ...], pa.Table]
"""What statements are of, and the statements, as rows of the table `labels`."""

_SHOWN = 3
# What a label of an entity may be stated of, from the entity itself up.
_LEVELS: dict[EntityKind, tuple[tuple[EntityKind, ...], ...]] = {
    "particle": (("particle",), ("micrograph", "volume"), ("sample",)),
    "micrograph": (("micrograph",), ("sample",)),
    "volume": (("volume",), ("sample",)),
    "sample": (("sample",),),
}
_PARENTS = {"particles_2d": "micrograph_id", "particles_3d": "volume_id"}
MEASURED = "measured"
"""Labeller of what was measured on the entity itself, such as the damage of a particle."""


def moment(store: "Store", as_of: AsOf | None) -> tuple[int, datetime]:
    """Snapshot that is read, and when it was made.

    Raises:
        QueryError: it is not kept, or none is as old as `as_of`.
    """
    when = "true"
    if as_of is not None:
        told = isinstance(as_of, datetime)
        when = "snapshot_time <= ?" if told else "snapshot_id = ?"
    found = store.lake.query(
        f"SELECT snapshot_id, snapshot_time FROM {CATALOG}.snapshots() WHERE {when} "
        "ORDER BY snapshot_id DESC LIMIT 1",
        [] if as_of is None else [as_of.astimezone(UTC) if isinstance(as_of, datetime) else as_of],
    ).to_pylist()
    if not found:
        message = f"no snapshot {as_of} is kept; see graindex sql 'FROM snapshots()'"
        raise QueryError(message)
    return found[0]["snapshot_id"], found[0]["snapshot_time"]


def levels_of(
    store: "Store", request: LabelRequest, kind: EntityKind, entities: pa.Table, snapshot: int
) -> list[Level]:
    """What is stated, by what it is stated of, the nearest first; none of them empty.

    Raises:
        LabelError: nothing of this name can be of these entities.
    """
    datasets = sorted(pc.unique(entities["dataset"]).to_pylist())
    stated = _stated(store, request.name, datasets, snapshot)
    nearest = [kinds for kinds in _LEVELS[kind] if request.of is None or request.of in kinds]
    levels: list[Level] = [
        (kinds, stated.filter(pc.is_in(stated["entity_kind"], value_set=pa.array(kinds))))
        for kinds in (nearest if request.of is None else [(request.of,)] * len(nearest))
    ]
    if request.name == ANNOTATIONS and kind == "micrograph":
        levels.append((("micrograph",), _of_annotations(store, datasets, snapshot)))
    if request.of in {None, "particle"} and kind == "particle":
        levels.append((("particle",), _of_particles(store, request.name, datasets, snapshot)))
    if request.of in {None, "sample"}:
        levels.append((("sample",), _of_samples(store, request.name, datasets, snapshot)))
    levels = [(kinds, rows) for kinds, rows in levels if rows.num_rows]
    if not levels:
        raise _unknown(store, request, kind, datasets, snapshot, stated)
    return levels


def _stated(store: "Store", name: str, datasets: Sequence[str], snapshot: int) -> pa.Table:
    """Statements of a label; what counts least first."""
    try:
        rows = statements_of(store, (name,), datasets=datasets, as_of=snapshot)
    except QueryError as error:
        if not isinstance(error.__cause__, duckdb.CatalogException):
            raise
        return empty(TABLES["labels"])  # the snapshot is older than the table
    return rows.sort_by([("labeller", "descending"), ("label_id", "ascending")])


def _of_annotations(store: "Store", datasets: Sequence[str], snapshot: int) -> pa.Table:
    """Label images that people drew, as timeless statements of the collection."""
    parts = [
        store.lake.read(ANNOTATIONS, dataset, columns=("micrograph_id", "mask"), as_of=snapshot)
        for dataset in datasets
    ]
    rows = pa.concat_tables(parts)
    return _timeless(rows["micrograph_id"], "label_text", rows["mask"])


def _of_particles(store: "Store", name: str, datasets: Sequence[str], snapshot: int) -> pa.Table:
    """The measured column of this name of each particle that has one."""
    tables = [table for table in _PARENTS if name in TABLES[table].columns]
    if not tables or FIELDS[name].kind not in (Kind.NUMBER, Kind.INTEGER):
        return empty(TABLES["labels"])
    rows = pa.concat_tables(
        store.lake.read(table, dataset, columns=("particle_id", name), as_of=snapshot)
        for table in tables
        for dataset in datasets
    )
    values = rows[name].cast(pa.float64())
    rows = rows.filter(pc.is_finite(values))
    return _timeless(
        rows["particle_id"], "label_number", rows[name].cast(pa.float64()), labeller=MEASURED
    )


def _of_samples(store: "Store", name: str, datasets: Sequence[str], snapshot: int) -> pa.Table:
    """The column of this name in `samples`, as timeless statements of the collection."""
    if name not in label_columns(store, snapshot):
        return empty(TABLES["labels"])
    of = ", ".join(literal(dataset) for dataset in datasets)
    rows = store.lake.query(
        f"SELECT sample_id, {quote(name)} AS value FROM {CATALOG}.samples{at_clause(snapshot)} "
        f"WHERE {f'dataset IN ({of})' if of else 'true'} AND {quote(name)} IS NOT NULL "
        "ORDER BY sample_id"
    )
    number = pa.types.is_floating(rows["value"].type)
    column = "label_number" if number else "label_text"
    return _timeless(rows["sample_id"], column, rows["value"])


def _timeless(
    ids: pa.ChunkedArray, column: str, values: pa.ChunkedArray, *, labeller: str = COLLECTION
) -> pa.Table:
    """Timeless statements, as rows of the table `labels`."""
    count = len(ids)
    columns = {
        "entity_id": ids,
        column: values,
        "labeller": pa.array([labeller] * count, pa.string()),
    }
    schema = empty(TABLES["labels"]).schema
    return pa.table([columns.get(f.name, pa.nulls(count, f.type)) for f in schema], schema.names)


def _unknown(
    store: "Store",
    request: LabelRequest,
    kind: EntityKind,
    datasets: Sequence[str],
    snapshot: int,
    stated: pa.Table,
) -> LabelError:
    """Says where the label was looked for, and what may have been meant."""
    name, where = request.name, ", ".join(datasets) or "any collection"
    kinds = sorted(pc.unique(stated["entity_kind"]).to_pylist())
    if kinds:
        wanted = request.of or kind
        return LabelError(
            f"label {name!r} of {where} is stated of each {' and '.join(kinds)}, which gives no "
            f"label of {wanted} to a {kind}; ask for entities of that kind"
        )
    known = {row["label_name"] for row in list_labels(store).to_pylist()}
    if kind == "particle":
        known |= {name for table in _PARENTS for name in TABLES[table].columns}
    close = difflib.get_close_matches(name, sorted(known), n=_SHOWN)
    hint = f"did you mean {' or '.join(close)}?" if close else "graindex labels lists what is known"
    return LabelError(
        f"label {name!r} is unknown: neither table labels nor a column of samples has it for "
        f"{where} in snapshot {snapshot}; {hint}"
    )


def keys_of(
    store: "Store",
    of: Sequence[EntityKind],
    kind: EntityKind,
    entities: pa.Table,
    snapshot: int,
) -> pa.Array:
    """Key of what each entity takes the statements of a level from; null where there is none."""
    if kind in of:
        return entities["entity_id"].combine_chunks()
    if of == ("sample",):
        return entities["sample_id"].combine_chunks()
    ids = entities["entity_id"].combine_chunks()
    keys = pa.nulls(len(ids), pa.string())
    for table, parent in _PARENTS.items():
        for dataset in sorted(pc.unique(entities["dataset"]).to_pylist()):
            columns = ("particle_id", parent)
            rows = store.lake.read(table, dataset, columns=columns, as_of=snapshot)
            place = pc.index_in(ids, value_set=rows["particle_id"].combine_chunks())
            keys = pc.coalesce(keys, rows[parent].combine_chunks().take(place))
    return keys
