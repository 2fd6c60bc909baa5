"""Rows that SQL can see, in the lake, in LanceDB or in memory, and the columns they have.

Out of scope: what is asked of them (`graindex.screening`, `graindex.references`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from graindex.store import Store
from schemas.ddl import literal, quote
from schemas.tables import TABLES

_MEMORY = "incoming"
_FEW = 20_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the catalog tells it: SQL type and comment."""

    sql_type: str
    comment: str = ""


Columns = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class SqlRows:
    """Rows, and how to ask for them.

    Attributes:
        relation: what stands behind FROM.
        columns: the columns by name.
        ask: result of a query.
    """

    relation: str
    columns: Columns
    ask: Callable[[str], pa.Table]

    @property
    def in_memory(self) -> bool:
        """Whether they are few enough to have been taken into memory."""
        return self.relation == _MEMORY


def in_memory(rows: pa.Table) -> SqlRows:
    """Rows of an Arrow table."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register(_MEMORY, rows)

    def ask(sql: str) -> pa.Table:
        return connection.execute(sql).to_arrow_table()

    found = ask(f"DESCRIBE {_MEMORY}").to_pylist()
    return SqlRows(_MEMORY, {row["column_name"]: Column(row["column_type"]) for row in found}, ask)


def of_collection(store: Store, table: str, dataset: str, columns: Columns) -> SqlRows:
    """Rows of a collection in a table; of vectors those that images are searched by.

    Up to 20,000 rows are taken into memory, where a query costs a tenth of what it does in the
    lake. More stay where they are.
    """
    if TABLES[table].in_lance:
        return of_vectors(store, store.settings.encoder.vector_table, dataset)
    return _of_lake(store, f"lake.{quote(table)} WHERE dataset = {literal(dataset)}", columns)


def of_vectors(store: Store, vector_table: str, dataset: str) -> SqlRows:
    """Rows of a collection in a table of vectors; these themselves are left out."""
    names = [name for name in TABLES["micrograph_vectors"].columns if name != "vector"]
    return in_memory(store.vectors.read(vector_table, dataset, names))


def of_store(store: Store, table: str, columns: Columns) -> SqlRows:
    """All rows of a table of the lake."""
    return _of_lake(store, f"lake.{quote(table)}", columns)


def _of_lake(store: Store, source: str, columns: Columns) -> SqlRows:
    rows = store.lake.query(f"FROM {source} LIMIT {_FEW + 1}")
    if rows.num_rows <= _FEW:
        return in_memory(rows)
    return SqlRows(f"(FROM {source})", columns, store.lake.query)


def lake_columns(store: Store) -> dict[str, dict[str, Column]]:
    """Columns of every table of the lake in this home."""
    sql = (
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE database_name = 'lake'"
    )
    columns: dict[str, dict[str, Column]] = {}
    for row in store.lake.query(sql).to_pylist():
        found = Column(row["data_type"], row["comment"] or "")
        columns.setdefault(row["table_name"], {})[row["column_name"]] = found
    return columns
