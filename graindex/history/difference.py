"""What differs between two snapshots: rows by key, and columns.

Out of scope: vectors, whose index is a table like the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from graindex.ducklake import CATALOG
from graindex.errors import QueryError
from graindex.history.snapshots import number_at, snapshots
from graindex.lake import LAKE_TABLES, at_clause
from schemas.ddl import SQL_TYPES, literal, quote
from schemas.table import Table

if TYPE_CHECKING:
    from graindex.lake import Lake
    from graindex.store import Store

_HERE = "row_is_here"
_BOTH = f"a.{_HERE} AND b.{_HERE}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs in one table, for one collection.

    Attributes:
        table: name of the table.
        dataset: the collection; None in tables of the store as a whole.
        added: rows whose key is only in the second snapshot.
        removed: rows whose key is only in the first.
        changed: rows of the same key with another value in some column.
        columns: for each column that differs in changed rows, in how many.
        new_columns: columns that only the second snapshot has, and that hold a value there.
    """

    table: str
    dataset: str | None
    added: int
    removed: int
    changed: int
    columns: Mapping[str, int] = field(default_factory=dict)
    new_columns: tuple[str, ...] = ()


def differences(
    store: "Store", first: int, second: int, datasets: Sequence[str] = ()
) -> list[Difference]:
    """Everything that differs between two snapshots, table by table; nothing where all is equal.

    Args:
        store: the store.
        first: number of a snapshot.
        second: number of another, older or younger.
        datasets: only these collections, and no tables of the store as a whole.

    Raises:
        QueryError: there is no such snapshot.
    """
    for number in (first, second):
        number_at(store.lake, number)
    touched = _touched(store.lake, first, second)
    tables = [table for table in LAKE_TABLES if table.name in touched]
    return [
        found
        for table in tables
        if not (datasets and table.of_store)
        for found in _of_table(store.lake, table, first, second, datasets)
    ]


def _touched(lake: "Lake", first: int, second: int) -> set[str]:
    """Tables that may differ; all of them where snapshots between the two were removed."""
    made = {snapshot.number: snapshot for snapshot in snapshots(lake)}
    between = range(min(first, second) + 1, max(first, second) + 1)
    if any(number not in made for number in between):
        return {table.name for table in LAKE_TABLES}
    return {name for number in between for name in made[number].tables}


def _of_table(
    lake: "Lake", table: Table, first: int, second: int, datasets: Sequence[str]
) -> list[Difference]:
    if not any(_has_rows(lake, table, number, datasets) for number in (second, first)):
        return []
    before, after = columns_at(lake, table.name, first), columns_at(lake, table.name, second)
    new = tuple(name for name in after if before and name not in before)
    values = [name for name in dict.fromkeys((*before, *after)) if name not in table.key]
    differs = {name: _differs(name, before, after) for name in values}
    counted = [f"({_BOTH} AND {differs[name]})" for name in values]
    counted.append(f"({_BOTH} AND ({' OR '.join(differs.values()) or 'false'}))")
    counts = ", ".join(f"count(*) FILTER {condition}" for condition in counted)
    filled = ", ".join(f"count(b.{quote(name)})" for name in new)
    sql = f"""
        SELECT {"NULL" if table.of_store else "dataset"} AS of_dataset,
               count(*) FILTER (a.{_HERE} IS NULL) AS added,
               count(*) FILTER (b.{_HERE} IS NULL) AS removed,
               [{counts}] AS changed, [{filled}]::BIGINT[] AS filled
        FROM ({_rows(table, first, before, datasets)}) a
        FULL JOIN ({_rows(table, second, after, datasets)}) b
            USING ({", ".join(quote(name) for name in table.key)})
        GROUP BY 1 ORDER BY 1
    """
    found = []
    for row in lake.query(sql).to_pylist():
        *by_column, changed = row["changed"]
        columns = {name: count for name, count in zip(values, by_column, strict=True) if count}
        brought = tuple(name for name, count in zip(new, row["filled"], strict=True) if count)
        if brought or row["added"] or row["removed"] or changed:
            rows = (row["added"], row["removed"], changed)
            found.append(Difference(table.name, row["of_dataset"], *rows, columns, brought))
    return found


def _has_rows(lake: "Lake", table: Table, number: int, datasets: Sequence[str]) -> bool:
    """Whether a table had rows at a snapshot; asking is cheap, comparing is not."""
    chosen = among_datasets(datasets) if datasets else "true"
    source = f"{CATALOG}.{quote(table.name)}{at_clause(number)}"
    found = _unless_absent(lake, f"SELECT 1 FROM {source} WHERE {chosen} LIMIT 1")
    return found is not None and found.num_rows > 0


def _differs(name: str, before: Sequence[str], after: Sequence[str]) -> str:
    """SQL condition that a column's values differ; one that is not there counts as null."""
    column = quote(name)
    if name not in before:
        return f"b.{column} IS NOT NULL"
    if name not in after:
        return f"a.{column} IS NOT NULL"
    return f"a.{column} IS DISTINCT FROM b.{column}"


def _rows(table: Table, number: int, columns: Sequence[str], datasets: Sequence[str]) -> str:
    """Query of a table at a snapshot; of no rows where it was not there yet."""
    if not columns:
        nothing = (
            f"NULL::{SQL_TYPES[field.kind]} AS {quote(field.name)}" for field in table.fields
        )
        return f"SELECT {', '.join(nothing)}, true AS {_HERE} WHERE false"
    chosen = among_datasets(datasets) if datasets else "true"
    source = f"{CATALOG}.{quote(table.name)}{at_clause(number)}"
    return f"SELECT *, true AS {_HERE} FROM {source} WHERE {chosen}"


def columns_at(lake: "Lake", table: str, number: int) -> list[str]:
    """Columns of a table at a snapshot; none where it was not there yet.

    Raises:
        QueryError: there is no such snapshot.
    """
    found = _unless_absent(lake, f"DESCRIBE FROM {CATALOG}.{quote(table)}{at_clause(number)}")
    return [] if found is None else [str(name) for name in found["column_name"].to_pylist()]


def _unless_absent(lake: "Lake", sql: str) -> pa.Table | None:
    """Result of a query; None where its table was not there yet."""
    try:
        return lake.query(sql)
    except QueryError as error:
        if isinstance(error.__cause__, duckdb.CatalogException):
            return None
        raise


def among_datasets(datasets: Sequence[str]) -> str:
    """SQL condition that a row belongs to one of some collections."""
    return f"dataset IN ({', '.join(literal(name) for name in datasets)})"
