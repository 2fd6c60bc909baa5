"""Tables with history: DuckLake, read as of any snapshot, written a partition at a time.

Out of scope: vectors (`graindex.vectors`), files (`graindex.files`) and free SQL
(`graindex.query`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TypeVar

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG, attach, first_line, retrying, sign, transaction
from graindex.errors import HomeError, QueryError
from graindex.history.snapshots import number_at
from graindex.lake_columns import (
    as_declared,
    columns_of,
    create_statements,
    missing,
    selection,
)
from graindex.lineage.recorded import record
from graindex.location import Location
from schemas.arrow import empty
from schemas.ddl import literal, quote
from schemas.table import Table
from schemas.tables import TABLES

AsOf = int | datetime
T = TypeVar("T")
LAKE_TABLES = tuple(table for table in TABLES.values() if not table.in_lance)


class Lake:
    """The tables of one store.

    One instance may serve several threads: every operation takes a cursor of its own.
    """

    def __init__(self, location: Location) -> None:
        self.location = location

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return attach(self.location, read_only=False)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    def create(self) -> None:
        """Make missing tables and columns, and say what each means; rows stay as they are.

        Raises:
            HomeError: the home cannot be written: the disk is full, or forbids it.
        """
        self._written(self._create)

    def _create(self) -> None:
        with transaction(self._cursor()) as cursor:
            existing, told = columns_of(cursor), columns_of(cursor, "comment")
            made = False
            for table in LAKE_TABLES:
                have = existing.get(table.name)
                if have is None:
                    statements = create_statements(table)
                else:
                    statements = [
                        statement
                        for field in table.fields
                        for statement in as_declared(table, field, have, told[table.name])
                    ]
                for statement in statements:
                    cursor.execute(statement)
                    made = True
            if made:
                sign(cursor, "graindex", "tables altered" if existing else "tables made")

    def read(
        self,
        table: str,
        dataset: str | None = None,
        *,
        columns: tuple[str, ...] = (),
        as_of: AsOf | None = None,
    ) -> pa.Table:
        """Rows of a table, in the order of its key.

        Args:
            table: its name.
            dataset: only this collection's rows.
            columns: only these columns; all when empty.
            as_of: the state at a snapshot (a number) or at a time.

        Returns:
            The rows; none where the home or the snapshot is older than the table, and null in
            declared columns that it is older than, if they are asked for.

        Raises:
            QueryError: no snapshot as old as `as_of`, or no such column.
        """
        where = "" if dataset is None else f" WHERE dataset = {literal(dataset)}"
        order = ", ".join(quote(name) for name in TABLES[table].key)
        source = f"{CATALOG}.{quote(table)}{at_clause(self.moment(as_of))}"
        rest = f"FROM {source}{where} ORDER BY {order}"
        try:
            what = ", ".join(quote(name) for name in columns) or "*"
            found = self.query_if_there(f"SELECT {what} {rest}")
        except QueryError as error:
            if not isinstance(error.__cause__, duckdb.BinderException):
                raise
            there = self.query(f"SELECT * FROM {source} LIMIT 0").column_names
            found = self.query(f"SELECT {selection(TABLES[table], columns, there)} {rest}")
        if found is None:
            return empty(TABLES[table]).select(list(columns or TABLES[table].columns))
        return found

    def query_if_there(self, sql: str) -> pa.Table | None:
        """Result of a query written by us; None where the home is older than a table in it.

        Raises:
            QueryError: DuckDB refused it for another reason.
        """
        try:
            return self.query(sql)
        except QueryError as error:
            if isinstance(error.__cause__, duckdb.CatalogException):
                return None
            raise

    def query(self, sql: str, parameters: list[object] | None = None) -> pa.Table:
        """Result of a query written by us; users' SQL goes through `graindex.query`.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            return retrying(lambda: self._cursor().execute(sql, parameters or []).to_arrow_table())
        except duckdb.Error as error:
            raise QueryError(first_line(error)) from error

    def snapshot(self) -> int:
        """Number of the newest snapshot."""
        return int(self.query(f"SELECT id FROM {CATALOG}.current_snapshot()")["id"][0].as_py())

    def moment(self, as_of: AsOf | None) -> int | None:
        """A time as the number of the snapshot that stood then; numbers and None as they are.

        Raises:
            QueryError: the snapshot of that time was removed, or never made.
        """
        return number_at(self, as_of) if isinstance(as_of, datetime) else as_of

    def replace(
        self, tables: Mapping[str, pa.Table], dataset: str, *, author: str, message: str
    ) -> int:
        """Replace one collection's rows of several tables, all or nothing.

        Tables whose rows are already what is wanted are left alone; when all are, no snapshot
        is made. Conflicts with other processes are retried.

        Args:
            tables: new rows by table name.
            dataset: the collection; every row belongs to it.
            author: who writes: an asset and a run.
            message: what is written, for the list of snapshots.

        Returns:
            Number of the snapshot that holds these rows.

        Raises:
            WriteConflictError: other processes kept winning.
            HomeError: the home cannot be written: the disk is full, or forbids it.
            QueryError: a label that is a number here holds text elsewhere, or the reverse.
        """
        for name, rows in tables.items():
            foreign = set(rows["dataset"].unique().to_pylist()) - {dataset}
            if foreign:
                told = f"rows of {foreign} among those of {dataset!r} for table {name!r}"
                raise ValueError(told)
        changed = {
            name: rows
            for name, rows in tables.items()
            if not same_rows(TABLES[name], self.read(name, dataset), rows)
        }
        if not changed:
            return self.snapshot()
        return self._write(changed, "dataset = ?", [dataset], author, message)

    def put(self, tables: Mapping[str, pa.Table], *, author: str, message: str) -> int:
        """Write rows of tables of the store as a whole, all or nothing.

        A row takes the place of the one of its key; all other rows stay as they are.

        Args:
            tables: rows by table name.
            author: who writes: a person, or an asset and a run.
            message: what is written, for the list of snapshots.

        Returns:
            Number of the snapshot that holds these rows.

        Raises:
            WriteConflictError: other processes kept winning.
            HomeError: the home cannot be written: the disk is full, or forbids it.
        """
        collections = [name for name in tables if not TABLES[name].of_store]
        if collections:
            told = f"table {collections[0]!r} is written a collection at a time"
            raise ValueError(told)
        filled = {name: rows for name, rows in tables.items() if rows.num_rows}
        if not filled:
            return self.snapshot()
        same_key = "({key}) IN (SELECT {key} FROM incoming)"
        return self._write(filled, same_key, [], author, message)

    def _write(
        self,
        tables: Mapping[str, pa.Table],
        replaced: str,
        parameters: list[object],
        author: str,
        message: str,
    ) -> int:
        """Replace the rows that fulfil a condition in one transaction, tried again as needed."""

        def write(cursor: duckdb.DuckDBPyConnection) -> None:
            existing = columns_of(cursor)
            for name, rows in tables.items():
                table = TABLES[name]
                for statement in missing(table, rows.schema, existing.get(name)):
                    cursor.execute(statement)
                target = f"{CATALOG}.{quote(name)}"
                key = ", ".join(quote(column) for column in table.key)
                cursor.register("incoming", rows)
                cursor.execute(f"DELETE FROM {target} WHERE {replaced.format(key=key)}", parameters)
                cursor.execute(
                    f"INSERT INTO {target} BY NAME SELECT * FROM incoming ORDER BY {key}"
                )
                cursor.unregister("incoming")
            record(cursor, tables, author)

        return self.commit(write, author=author, message=message)

    def commit(
        self,
        action: Callable[[duckdb.DuckDBPyConnection], None],
        *,
        author: str,
        message: str,
    ) -> int:
        """Do something in one transaction, tried again when another process was quicker.

        Args:
            action: what to do, in SQL written by us.
            author: who writes: a person, or an asset and a run.
            message: what is written, for the list of snapshots.

        Returns:
            Number of the snapshot that was made; of the newest where there was nothing to do.

        Raises:
            WriteConflictError: other processes kept winning.
            HomeError: the home cannot be written: the disk is full, or forbids it.
        """
        return self._written(lambda: self._commit_once(action, author, message))

    def _written(self, action: Callable[[], T]) -> T:
        """Result of an action that writes, tried again when another process was quicker."""
        try:
            return retrying(action)
        except (duckdb.IOException, duckdb.TransactionException) as error:
            why = " ".join(str(error).split())
            told = f"home {self.location.home!r} cannot be written: {why}"
            raise HomeError(told) from error

    def _commit_once(
        self, action: Callable[[duckdb.DuckDBPyConnection], None], author: str, message: str
    ) -> int:
        cursor = self._cursor()
        with transaction(cursor):
            action(cursor)
            sign(cursor, author, message)
        row = cursor.execute(f"FROM ducklake_last_committed_snapshot('{CATALOG}')").fetchone()
        # Where the action found nothing to do, no snapshot was made.
        return int(row[0]) if row is not None and row[0] is not None else self.snapshot()


def at_clause(as_of: AsOf | None) -> str:
    """SQL that makes a table of the lake read as of a snapshot or a time; "" for now."""
    if as_of is None:
        return ""
    if isinstance(as_of, datetime):
        return f" AT (TIMESTAMP => TIMESTAMPTZ {literal(as_of.astimezone().isoformat())})"
    return f" AT (VERSION => {as_of:d})"


def same_rows(table: Table, have: pa.Table, want: pa.Table) -> bool:
    """Whether two sets of rows are equal, whatever their order; null columns may be absent."""
    if have.num_rows != want.num_rows:
        return False
    names = sorted({*have.column_names, *want.column_names})
    order = [(name, "ascending") for name in table.key]
    return bool(_aligned(have, names).sort_by(order).equals(_aligned(want, names).sort_by(order)))


def _aligned(rows: pa.Table, names: list[str]) -> pa.Table:
    columns = [
        rows[name].combine_chunks() if name in rows.column_names else pa.nulls(rows.num_rows)
        for name in names
    ]
    filled = [
        pa.nulls(len(column)) if column.null_count == len(column) else column for column in columns
    ]
    return pa.table(filled, names=names)
