"""Users' SQL: read-only, over tables and vectors, with no way to other files.

Out of scope: queries that the store itself writes (`graindex.lake`).
"""

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG, attach, retrying, transaction, without_jargon
from graindex.errors import QueryError
from graindex.lake import AsOf, at_clause
from graindex.lineage.view import LINEAGE_EDGES, WRITTEN, view_statement
from graindex.location import Location
from schemas.ddl import literal

VECTORS = "vectors"

SESSION_PAUSE_HOURS = 3
"""A longer pause between two images of one instrument starts a new session."""

_MICROGRAPH_CATALOG = f"""
CREATE OR REPLACE TEMP VIEW micrograph_catalog AS
WITH images AS (FROM {CATALOG}.micrographs{{at}}),
starts AS (
    SELECT dataset, micrograph_id, instrument, acquired_at,
           coalesce(
               acquired_at - lag(acquired_at) OVER one_instrument
               > INTERVAL {SESSION_PAUSE_HOURS} HOURS, true
           )::INTEGER AS is_start
    FROM images WHERE acquired_at IS NOT NULL
    WINDOW one_instrument AS (PARTITION BY dataset, instrument ORDER BY acquired_at, micrograph_id)
),
blocks AS (
    SELECT *, sum(is_start) OVER (
        PARTITION BY dataset, instrument ORDER BY acquired_at, micrograph_id
    ) AS block
    FROM starts
),
begun AS (
    SELECT dataset, micrograph_id, instrument,
           min(acquired_at) OVER (PARTITION BY dataset, instrument, block) AS began
    FROM blocks
),
sessions AS (
    SELECT dataset, micrograph_id,
           dataset || '#' || dense_rank() OVER (PARTITION BY dataset ORDER BY began, instrument)
               AS session_id
    FROM begun
)
SELECT m.*, n.session_id, s.* EXCLUDE (dataset, sample_id, input_hash, code_version),
       q.* EXCLUDE (dataset, micrograph_id, input_hash, code_version)
FROM images m
LEFT JOIN sessions n ON n.dataset = m.dataset AND n.micrograph_id = m.micrograph_id
LEFT JOIN (FROM {CATALOG}.samples{{at}}) s ON s.dataset = m.dataset AND s.sample_id = m.sample_id
LEFT JOIN (FROM {CATALOG}.image_quality{{at}}) q
       ON q.dataset = m.dataset AND q.micrograph_id = m.micrograph_id
"""

_VOLUME_CATALOG = f"""
CREATE OR REPLACE TEMP VIEW volume_catalog AS
SELECT v.*, s.* EXCLUDE (dataset, sample_id, input_hash, code_version),
       p.label_volume, p.segmentation_method, p.segmentation_source, p.particle_count,
       p.particle_fraction, p.overlay
FROM (FROM {CATALOG}.volumes{{at}}) v
LEFT JOIN (FROM {CATALOG}.samples{{at}}) s ON s.dataset = v.dataset AND s.sample_id = v.sample_id
LEFT JOIN (FROM {CATALOG}.particle_labels_3d{{at}}) p
       ON p.dataset = v.dataset AND p.volume_id = v.volume_id
"""

_SEARCHES = frozenset({"lance_vector_search", "lance_fts", "lance_hybrid_search"})
# Table functions that reach no file and run no other text as SQL. The Lance and SQLite
# extensions open files past DuckDB's own access rules, so a list of what is allowed is the
# only safe one.
_TABLE_FUNCTIONS = _SEARCHES | {
    "range", "generate_series", "unnest", "json_each", "json_tree",
    "duckdb_tables", "duckdb_columns", "duckdb_views", "duckdb_functions", "duckdb_types",
    "snapshots", "current_snapshot", "table_info", "table_changes", "table_insertions",
    "table_deletions", "ducklake_snapshots", "ducklake_table_info", "ducklake_table_changes",
}  # fmt: skip


class QueryConnection:
    """A locked, read-only view of one store in which users' SQL runs."""

    def __init__(self, location: Location) -> None:
        self._location = location

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection = attach(self._location, read_only=True, lance=True)
        folder = self._location.under(VECTORS)
        connection.execute(f"ATTACH {literal(folder)} AS {VECTORS} (TYPE LANCE)")
        allowed = ", ".join(literal(self._location.under(part)) for part in ("lake", VECTORS))
        for statement in (
            f"SET allowed_directories = [{allowed}]",
            "SET enable_external_access = false",
            "SET GLOBAL TimeZone = 'UTC'",  # a plain SET would not reach the cursors
            "SET lock_configuration = true",
        ):
            connection.execute(statement)
        return connection

    def _cursor(self, sql: str, as_of: AsOf | None = None) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        with transaction(
            cursor
        ):  # or DuckLake would look for the newest snapshot at each statement
            cursor.execute(f"USE {CATALOG}")
            for view in (_MICROGRAPH_CATALOG, _VOLUME_CATALOG):
                cursor.execute(view.format(at=at_clause(as_of)))
            if LINEAGE_EDGES in sql.lower():  # it takes longer to make than most queries to run
                written = frozenset(row[0] for row in cursor.execute(WRITTEN).fetchall())
                cursor.execute(view_statement(written))
        return cursor

    def relation(self, sql: str) -> duckdb.DuckDBPyRelation:
        """The query as a relation: `.pl()`, `.arrow()`, `.df()`, `.fetchall()`.

        Raises:
            QueryError: it would write, read a file, or is wrong.
        """
        cursor = retrying(lambda: self._cursor(sql))
        self._guard(cursor, sql)
        try:
            return retrying(lambda: cursor.sql(sql))
        except duckdb.Error as error:
            raise QueryError(one_line(error)) from error

    def table(
        self, sql: str, parameters: list[object] | None = None, as_of: AsOf | None = None
    ) -> pa.Table:
        """Result of a query with parameters, as Arrow.

        Args:
            sql: the query.
            parameters: values of its question marks.
            as_of: snapshot or time of the catalog views; tables by their own name are of now.

        Raises:
            QueryError: it would write, read a file, or is wrong; or no snapshot is that old.
        """
        try:
            cursor = retrying(lambda: self._cursor(sql, as_of))
            self._guard(cursor, sql)
            return retrying(lambda: cursor.execute(sql, parameters or []).to_arrow_table())
        except duckdb.Error as error:
            raise QueryError(one_line(error)) from error

    def check(self, sql: str) -> None:
        """Refuse a query as `relation` and `table` would, without running it.

        Raises:
            QueryError: it would write, read a file, or is wrong.
        """
        self._guard(retrying(lambda: self._cursor(sql)), sql)

    def _guard(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
        row = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
        tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
        if tree["error"]:
            if tree.get("error_type") == "not implemented":
                message = "the store is read-only here: SELECT, DESCRIBE, SUMMARIZE or SHOW"
                raise QueryError(message)
            raise QueryError(" ".join(str(tree.get("error_message")).split()))
        if len(tree["statements"]) != 1:
            message = f"give one query at a time, not {len(tree['statements'])}"
            raise QueryError(message)
        for node in _walk(tree):
            self._check(cursor, node)

    def _check(self, cursor: duckdb.DuckDBPyConnection, node: dict[str, object]) -> None:
        if node.get("type") == "BASE_TABLE":
            name = str(node["table_name"])
            if any(mark in name for mark in "/\\.:"):
                message = (
                    f"{name!r} is a file; query the store's tables (SHOW ALL TABLES lists them)"
                )
                raise QueryError(message)
        if node.get("type") == "TABLE_FUNCTION":
            function = node["function"]
            assert isinstance(function, dict)
            name = str(function["function_name"]).lower()
            if name not in _TABLE_FUNCTIONS:
                message = f"table function {name!r} is not allowed here"
                raise QueryError(message)
            if name in _SEARCHES:
                self._check_search(cursor, name, function["children"])

    def _check_search(
        self, cursor: duckdb.DuckDBPyConnection, name: str, arguments: list[dict[str, object]]
    ) -> None:
        first = arguments[0] if arguments else {}
        value = first.get("value")
        target = value.get("value") if isinstance(value, dict) else None
        tables = cursor.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ?", [VECTORS]
        ).fetchall()
        # Any other text, an absent table included, is a path to the extension.
        if str(target) not in {
            text
            for (table,) in tables
            for text in (f"{VECTORS}.main.{table}", self._location.under(VECTORS, f"{table}.lance"))
        }:
            message = (
                f"{name}: the first argument must be a table such as "
                f"'{VECTORS}.main.micrographs', not {target!r}"
            )
            raise QueryError(message)


def _walk(node: object) -> Iterator[dict[str, object]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


def one_line(error: BaseException) -> str:
    """A DuckDB message without the picture of where it struck."""
    text = str(error).split("\n\nLINE", maxsplit=1)[0]
    return without_jargon(" ".join(text.split()))
