"""Collections as they stood at a snapshot, made the newest state again.

Labels, feature sets, training sets and models belong to the store as a whole and stay.

Out of scope: recipes and originals, which have no history; a later materialisation follows them.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG
from graindex.errors import QueryError
from graindex.history.difference import among_datasets, columns_at, differences
from graindex.history.snapshots import number_at
from graindex.history.stored_files import addresses_in, stored_addresses
from graindex.lake import LAKE_TABLES, at_clause
from graindex.vector_history import INDEX, index_as_of, vectors_as_of
from schemas.ddl import quote

if TYPE_CHECKING:
    from graindex.store import Store

_OF_COLLECTIONS = tuple(table for table in LAKE_TABLES if not table.of_store)
_NAMED = 3
_ASIDE = "temp.rows_of_then"


def restore(store: "Store", snapshot: int, datasets: Sequence[str] = (), *, author: str) -> int:
    """Make collections what they were: their tables in one transaction, and their vectors.

    Args:
        store: the store.
        snapshot: number of the snapshot to go back to.
        datasets: only these collections; without, all that there were then or are now.
        author: who restores.

    Returns:
        Number of the new snapshot; of the newest one where nothing differs.

    Raises:
        QueryError: there is no such snapshot or collection; or vectors or files of then are gone.
        HomeError: the home cannot be written.
    """
    number_at(store.lake, snapshot)
    known = _collections(store, snapshot)
    unknown = [name for name in datasets if name not in known]
    if unknown:
        message = f"there is no collection {unknown[0]!r}, now or in snapshot {snapshot}"
        raise QueryError(message)
    chosen = sorted(set(datasets) or known)
    _refuse_gone_files(store, snapshot, chosen)
    vectors = {
        key: _vectors(store, *key, snapshot) for key in _vector_tables(store, chosen, snapshot)
    }
    differing = (
        {found.table for found in differences(store, store.lake.snapshot(), snapshot, chosen)}
        if chosen
        else set()
    )
    for (dataset, name), rows in vectors.items():
        images = store.lake.read("micrographs", dataset, columns=("micrograph_id",), as_of=snapshot)
        _restore_vectors(store, dataset, name, rows, set(images["micrograph_id"].to_pylist()))
    if not differing:
        return store.lake.snapshot()
    statements = [
        statement
        for table in _OF_COLLECTIONS
        if table.name in differing
        for statement in _statements(store, table.name, snapshot, chosen)
    ]

    def write(cursor: duckdb.DuckDBPyConnection) -> None:
        for statement in statements:
            cursor.execute(statement)

    message = f"{', '.join(chosen)} as of snapshot {snapshot}"
    return store.lake.commit(write, author=author, message=message)


def _collections(store: "Store", snapshot: int) -> set[str]:
    """Collections that have rows now, or had at a snapshot."""
    found: set[str] = set()
    for at in (None, snapshot):
        for table in ("datasets", "micrographs", "volumes", "samples"):
            found |= set(
                store.lake.read(table, columns=("dataset",), as_of=at)["dataset"].to_pylist()
            )
    return found


def _statements(
    store: "Store", table: str, snapshot: int, datasets: Sequence[str]
) -> Iterator[str]:
    """Statements that make a table's rows what they were.

    The rows are set aside first: once rows of a file are deleted, the same transaction does not
    see that file at any snapshot (DuckLake 1.0).
    """
    target, chosen = f"{CATALOG}.{quote(table)}", among_datasets(datasets)
    there = bool(columns_at(store.lake, table, snapshot))
    if there:
        source = f"{target}{at_clause(snapshot)}"
        yield f"CREATE OR REPLACE TEMP TABLE {_ASIDE} AS FROM {source} WHERE {chosen}"
    yield f"DELETE FROM {target} WHERE {chosen}"
    if there:
        yield f"INSERT INTO {target} BY NAME FROM {_ASIDE}"
        yield f"DROP TABLE {_ASIDE}"


def _refuse_gone_files(store: "Store", snapshot: int, datasets: Sequence[str]) -> None:
    named: set[str] = set()
    for table in _OF_COLLECTIONS:
        named |= addresses_in(store.lake, table, [snapshot], datasets)
    gone = sorted(named - stored_addresses(store)) if named else []
    if gone:
        told = ", ".join(gone[:_NAMED]) + (", …" if len(gone) > _NAMED else "")
        message = (
            f"snapshot {snapshot} cannot be restored: {len(gone)} of its thumbnails, masks or "
            f"volumes are gone ({told}); materialise its collections instead"
        )
        raise QueryError(message)


def _vector_tables(store: "Store", datasets: Iterable[str], snapshot: int) -> list[tuple[str, str]]:
    """Collections and Lance tables that have vectors now or had some at the snapshot."""
    rows = [
        row
        for at in (None, snapshot)
        for row in store.lake.read(INDEX, columns=("dataset", "vector_table"), as_of=at).to_pylist()
    ]
    wanted = set(datasets)
    found = {(row["dataset"], row["vector_table"]) for row in rows if row["dataset"] in wanted}
    return sorted(found)


def _vectors(store: "Store", dataset: str, name: str, snapshot: int) -> pa.Table:
    """Rows of a Lance table as they stood."""
    vectors = vectors_as_of(store, dataset, snapshot, name)
    index = index_as_of(store, dataset, snapshot, name)
    for column in ("dataset", "input_hash", "code_version"):
        vectors = vectors.append_column(column, index[column])
    return vectors.drop_columns("vector_hash")


def _restore_vectors(
    store: "Store", dataset: str, name: str, rows: pa.Table, images: Container[str]
) -> None:
    """Make the vectors what they were; those of images that there were not then go.

    A vector of which the index said nothing then stays: it may be older than the index.
    """
    now = store.vectors.read(name, dataset, ("micrograph_id",))["micrograph_id"].to_pylist()
    if rows.num_rows:
        store.vectors.upsert(name, rows, rows["vector"].type.list_size)
    store.vectors.delete(name, [key for key in now if key not in images])
