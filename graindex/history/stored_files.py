"""Files and volumes that rows name by their content address, and those that lie in the store.

Out of scope: removing any (`graindex.history.garbage`).
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import fsspec
import pyarrow.parquet as pq

from graindex.ducklake import CATALOG
from graindex.history.difference import among_datasets, columns_at
from graindex.history.pins import states
from graindex.history.snapshots import Snapshot
from graindex.lake import LAKE_TABLES, at_clause
from schemas.ddl import quote
from schemas.field import HEX_SHA256
from schemas.table import Table

if TYPE_CHECKING:
    from graindex.lake import Lake
    from graindex.location import Location
    from graindex.store import Store

NO_ADDRESSES = frozenset(
    {
        "annotation_hash",
        "content_hash",
        "input_hash",
        "listing_hash",
        "vector_hash",
        "definition_hash",
        "fingerprint",
        "row_hash",
    }
)
"""Columns of hashes that name no file of the store; any other one is taken to name one."""

_STATES_AT_ONCE = 20


def address_columns(table: Table) -> list[str]:
    """Columns that name files or volumes of the store by their hash."""
    return [
        field.name
        for field in table.fields
        if field.pattern == HEX_SHA256 and field.name not in NO_ADDRESSES
    ]


def addresses_in(
    lake: "Lake", table: Table, numbers: Sequence[int], datasets: Sequence[str] = ()
) -> set[str]:
    """Hashes that a table names at some snapshots, for some collections or all."""
    wanted = address_columns(table)
    chosen = among_datasets(datasets) if datasets else "true"
    queries = []
    for number in numbers if wanted else ():
        there = [name for name in columns_at(lake, table.name, number) if name in wanted]
        source = f"{CATALOG}.{quote(table.name)}{at_clause(number)}"
        queries += [f"SELECT {quote(name)} FROM {source} WHERE {chosen}" for name in there]
    found: set[str] = set()
    for start in range(0, len(queries), _STATES_AT_ONCE):
        union = " UNION ".join(queries[start : start + _STATES_AT_ONCE])
        found |= {str(value) for value in lake.query(union)[0].to_pylist() if value}
    return found


def named_addresses(store: "Store", made: Sequence[Snapshot], kept: Iterable[int]) -> set[str]:
    """Hashes that any row names at any of the kept snapshots, or that an unfinished run saved.

    Args:
        store: the store.
        made: all snapshots.
        kept: numbers of those that stay.
    """
    found = _saved_addresses(store.location)
    numbers = sorted(kept)
    for table in LAKE_TABLES:
        if address_columns(table):
            found |= addresses_in(store.lake, table, states(made, table.name, numbers))
    return found


def _saved_addresses(location: "Location") -> set[str]:
    """Hashes in the rows that killed runs left to go on from."""
    fs, root = fsspec.core.url_to_fs(location.under("work"))
    wanted = {name for table in LAKE_TABLES for name in address_columns(table)}
    found: set[str] = set()
    for path in fs.find(root) if fs.exists(root) else ():
        if path.endswith(".parquet"):
            try:
                with fs.open(path) as file:
                    names = [name for name in pq.read_schema(file).names if name in wanted]
                    rows = pq.read_table(file, columns=names)
            except FileNotFoundError:
                continue  # the run has ended
            found |= {value for name in names for value in rows[name].to_pylist() if value}
    return found


def stored_addresses(store: "Store") -> set[str]:
    """Hashes of all files and volumes that lie in the store."""
    return {file.key for file in (*store.files.entries(), *store.volume_store.entries())}
