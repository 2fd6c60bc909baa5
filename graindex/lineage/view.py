"""The view `lineage_edges`: every relation of lineage as one table for SQL.

Out of scope: following edges (`graindex.lineage.walk`).
"""

from collections.abc import Collection
from functools import cache

from graindex.ducklake import CATALOG
from graindex.lineage.edge import EDGE_COLUMNS
from graindex.lineage.edges import EDGES
from schemas.ddl import SQL_TYPES, quote
from schemas.tables import TABLES

LINEAGE_EDGES = "lineage_edges"

_METADATA = f"__ducklake_metadata_{CATALOG}"
WRITTEN = f"""
    SELECT t.table_name, s.record_count FROM {_METADATA}.ducklake_table t
    JOIN {_METADATA}.ducklake_table_stats s ON s.table_id = t.table_id
    WHERE t.end_snapshot IS NULL AND s.next_row_id > 0
"""
"""Query of the tables that ever had rows, and of how many.

DuckLake takes fifty times as long to read a table without rows as one with a file.
"""


@cache
def view_statement(written: frozenset[str]) -> str:
    """SQL that makes the view; a condition on an id reaches down into the tables.

    Args:
        written: tables that ever had rows.
    """
    columns = ", ".join(EDGE_COLUMNS)
    tables = _Tables(written)
    parts = [
        f"SELECT '{edge.downstream}' AS downstream_kind, downstream_id, "
        f"'{edge.upstream}' AS upstream_kind, upstream_id, dataset, code_version "
        f"FROM ({edge.sql.format_map(tables)})"
        for edge in EDGES
    ]
    union = " UNION ALL ".join(parts)
    return f"CREATE OR REPLACE TEMP VIEW {LINEAGE_EDGES} AS SELECT {columns} FROM ({union})"


def without_rows(table: str) -> str:
    """SQL of a table of the dictionary that has no rows."""
    columns = ", ".join(
        f"NULL::{SQL_TYPES[field.kind]} AS {quote(field.name)}" for field in TABLES[table].fields
    )
    return f"(SELECT {columns} WHERE false)"


class _Tables(dict[str, str]):
    """Tables by name, as they stand."""

    def __init__(self, written: Collection[str]) -> None:
        super().__init__({name: f"{CATALOG}.{quote(name)}" for name in written})

    def __missing__(self, name: str) -> str:
        return without_rows(name)
