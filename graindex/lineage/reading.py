"""Tables as lineage reads them: data as of one snapshot, what was registered as of another.

Out of scope: which edges are read (`graindex.lineage.edges`).
"""

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG, attach, first_line
from graindex.errors import QueryError
from graindex.lake import at_clause
from graindex.lineage.view import WRITTEN, without_rows
from schemas.ddl import quote
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

# Rows that lie in the metadata because they are few take long to read; copies are read again.
_SMALL = 10_000
# Small enough, and read by many relations.
_COPIED = frozenset(
    {"training_sets", "training_rows", "feature_sets", "feature_set_columns", "model_runs"}
)


class LineageReading:
    """A connection of its own to the lake, read-only, with temporary tables beside it."""

    def __init__(self, store: "Store", *, data_at: int | None, registered_at: int | None) -> None:
        """Open the store.

        Args:
            store: the store.
            data_at: snapshot of images, volumes, particles and labels; now when None.
            registered_at: snapshot of training sets and models; now when None.
        """
        self._moments = {False: data_at, True: registered_at}
        self._sources: dict[str, str] = {}
        self._connection = attach(store.location, read_only=True)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET python_enable_replacements = false")
        # In one transaction DuckLake reads its metadata once and not for every query.
        self._connection.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def __getitem__(self, table: str) -> str:
        """SQL that reads a table; without rows where the home or the snapshot is older than it."""
        if table not in self._sources:
            self._sources[table] = self._source(table)
        return self._sources[table]

    def _source(self, table: str) -> str:
        at = at_clause(self._moments[_is_registered(table)])
        # DuckLake takes fifty times as long to read a table without rows as one with a file.
        if table not in self._written:
            return without_rows(table)
        source = f"(FROM {CATALOG}.{quote(table)}{at})"
        is_copied = self._written[table] <= _SMALL or table in _COPIED
        copy = quote(f"copy_of_{table}")
        try:
            if is_copied:
                self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {copy} AS {source}")
            elif at:  # the table may be younger
                self._connection.execute(f"DESCRIBE {source}")
        except duckdb.CatalogException:
            return without_rows(table)
        except duckdb.Error as error:
            raise QueryError(first_line(error)) from error
        return copy if is_copied else source

    @cached_property
    def _written(self) -> dict[str, int]:
        """Tables that ever had rows, and how many."""
        rows = self.query(WRITTEN).to_pylist()
        return {row["table_name"]: row["record_count"] for row in rows}

    def read_data_at(self, snapshot: int | None) -> None:
        """Read images, volumes, particles and labels as of another snapshot from here on."""
        if snapshot != self._moments[False]:
            self._moments[False] = snapshot
            for table in [name for name in self._sources if not _is_registered(name)]:
                del self._sources[table]

    def sql(self, query: str, **more: str) -> str:
        """A query with the names in braces replaced."""
        return query.format_map(_Names(self, more))

    def execute(self, sql: str) -> int:
        """Run a statement on temporary tables; returns how many rows it made.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            row = self._connection.execute(sql).fetchone()
            return 0 if row is None else int(row[0])
        except duckdb.Error as error:
            raise QueryError(first_line(error)) from error

    def query(self, sql: str) -> pa.Table:
        """Result of a query.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            return self._connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(first_line(error)) from error


class _Names(dict[str, str]):
    def __init__(self, reading: LineageReading, more: dict[str, str]) -> None:
        super().__init__(more)
        self._reading = reading

    def __missing__(self, table: str) -> str:
        return self._reading[table]


def _is_registered(table: str) -> bool:
    return TABLES[table].of_store and table != "labels"
