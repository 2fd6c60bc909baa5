"""Tables of a store as they stood at one snapshot, for the queries that features are made by.

Out of scope: which queries those are.
"""

from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG, attach, first_line, retrying
from graindex.errors import QueryError
from graindex.history.snapshots import number_at
from graindex.lake import at_clause
from schemas.ddl import quote

if TYPE_CHECKING:
    from graindex.store import Store


class Reading:
    """A connection of its own to the lake, read-only, with temporary tables beside it."""

    def __init__(self, store: "Store", as_of: int) -> None:
        """Open the store at a snapshot.

        Raises:
            QueryError: there is no such snapshot.
        """
        self.store = store
        self.as_of = number_at(store.lake, as_of)
        self._connection = attach(store.location, read_only=True)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET python_enable_replacements = false")
        # In one transaction DuckLake reads its metadata once and not for every query.
        self._connection.begin()
        self.columns = cache(self._columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def table(self, name: str) -> str:
        """SQL that names a table as of the snapshot."""
        # In brackets, since SQL wants an alias before the AT.
        return f"(FROM {CATALOG}.{quote(name)}{at_clause(self.as_of)})"

    def _columns(self, name: str) -> dict[str, str]:
        """SQL types of a table's columns as of the snapshot, by name."""
        found = self.query(f"DESCRIBE {self.table(name)}")
        names, types = (found[part].to_pylist() for part in ("column_name", "column_type"))
        return dict(zip(names, types, strict=True))

    def register(self, name: str, rows: pa.Table) -> None:
        """Make rows a table of the connection."""
        self._connection.register(f"{name}_rows", rows)
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {name}_rows")
        self._connection.unregister(f"{name}_rows")

    def query(self, sql: str) -> pa.Table:
        """Result of a query.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            return retrying(lambda: self._connection.execute(sql).to_arrow_table())
        except duckdb.Error as error:
            raise QueryError(first_line(error)) from error
