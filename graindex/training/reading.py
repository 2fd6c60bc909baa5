"""Tables as they stood at a snapshot, those that did not exist yet being empty.

Out of scope: everything else that reads the lake.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from graindex.errors import QueryError
from schemas.arrow import empty
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store


def rows_as_of(store: "Store", table: str, columns: Sequence[str], as_of: int) -> pa.Table:
    """Columns of a table as of a snapshot; no rows where the table is younger than that.

    Args:
        store: the store.
        table: its name.
        columns: which; all when empty.
        as_of: snapshot.

    Raises:
        QueryError: there is no such snapshot.
    """
    try:
        return store.lake.read(table, columns=tuple(columns), as_of=as_of)
    except QueryError as error:
        if isinstance(error.__cause__, duckdb.CatalogException):
            return empty(TABLES[table]).select(list(columns or TABLES[table].columns))
        raise
