"""Tables and columns of the lake: which there are, and statements that make those that lack.

Out of scope: rows (`graindex.lake`), and what the columns mean (`schemas.fields`).
"""

from collections.abc import Iterable, Iterator, Mapping

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG
from graindex.errors import QueryError
from schemas import ddl
from schemas.arrow import describe
from schemas.fields import FIELDS, Field, Kind
from schemas.table import Table

_SOME_VALUE = {
    Kind.TEXT: "''",
    Kind.INTEGER: "0",
    Kind.NUMBER: "0",
    Kind.BOOLEAN: "false",
    Kind.LOCAL_TIME: "TIMESTAMP '2000-01-01'",
    Kind.INSTANT: "TIMESTAMPTZ '2000-01-01 00:00:00+00'",
}


def columns_of(
    cursor: duckdb.DuckDBPyConnection, what: str = "data_type"
) -> dict[str, dict[str, str]]:
    """Type of each column of each table, or its comment."""
    rows = cursor.execute(
        f"SELECT table_name, column_name, {what} FROM duckdb_columns() WHERE database_name = ?",
        [CATALOG],
    ).fetchall()
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        columns.setdefault(table, {})[column] = kind
    return columns


def as_declared(
    table: Table, field: Field, have: Mapping[str, str], told: Mapping[str, str]
) -> list[str]:
    """Statements that add a declared column, or bring its meaning in the catalog up to date."""
    if field.name not in have:
        sql_type = ddl.SQL_TYPES[field.kind]
        return ddl.add_column_statements(table, field.name, sql_type, CATALOG)
    if told[field.name] != describe(field.name):
        return [ddl.comment_statement(table, field.name, CATALOG)]
    return []


def selection(table: Table, wanted: Iterable[str], there: Iterable[str]) -> str:
    """What to select of a table where columns that it declares are not there: null for those."""
    have = set(there)
    kinds = {field.name: field.kind for field in table.fields if field.name not in have}
    return ", ".join(
        f"CAST(NULL AS {ddl.SQL_TYPES[kinds[name]]}) AS {ddl.quote(name)}"
        if name in kinds
        else ddl.quote(name)
        for name in wanted
    )


def create_statements(table: Table) -> list[str]:
    """Statements that make a table of the lake, empty but with statistics.

    Of a table that never held a row DuckLake keeps no statistics and looks for them once per
    column in each query: reading 70 columns took 0.2 s instead of 0.02 s (DuckLake 1.0, 2026-11).
    A row that comes and goes in the transaction that makes the table leaves statistics of none.
    """
    target = f"{CATALOG}.{ddl.quote(table.name)}"
    values = ", ".join(
        _SOME_VALUE[field.kind] if field.name in table.never_null else "NULL"
        for field in table.fields
    )
    return [
        *ddl.create_statements(table, CATALOG),
        f"INSERT INTO {target} VALUES ({values})",
        f"DELETE FROM {target}",
    ]


def missing(table: Table, schema: pa.Schema, have: Mapping[str, str] | None) -> Iterator[str]:
    """Statements that make a table that an older home lacks, and room for columns of an open one.

    Raises:
        QueryError: a column that another collection already fills with another type.
    """
    if have is None:
        yield from create_statements(table)
        have = {field.name: ddl.SQL_TYPES[field.kind] for field in table.fields}
    for field in schema:
        kind = Kind.NUMBER if pa.types.is_floating(field.type) else Kind.TEXT
        declared = FIELDS[field.name].kind if field.name in table.columns else kind
        sql_type = ddl.SQL_TYPES[declared]
        if field.name not in have:
            yield from ddl.add_column_statements(table, field.name, sql_type, CATALOG)
        elif field.name not in table.columns and have[field.name] != sql_type:
            message = (
                f"column {field.name!r} of {table.name} holds {have[field.name]} in other "
                f"collections and {sql_type} here: give the label another name"
            )
            raise QueryError(message)
