"""One Parquet file of the lake written anew without some of its rows.

Order, types, ids of columns, hidden columns and compression stay.
Out of scope: which rows (`graindex.forget.marks`), telling DuckLake (`graindex.forget.erasing`).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex.forget.lake_files import parquet
from schemas.ddl import literal, quote

Places = npt.NDArray[np.int64]
_PLACE_COLUMNS = ("file_path", "pos")


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written.

    Attributes:
        path: where it lies.
        rows: how many it holds.
        size_bytes: its size.
        footer_bytes: size of its footer.
        statistics: what its writer says of each column, by the id of the column.
    """

    path: Path
    rows: int
    size_bytes: int
    footer_bytes: int
    statistics: Mapping[int, Mapping[str, str]]


def without_rows(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    gone: Places,
    cleaned: Mapping[str, str],
) -> Written | None:
    """Write a file of rows anew beside itself; None where no row is left.

    Args:
        connection: any connection of DuckDB.
        path: the file.
        gone: places of the rows that go, from 0.
        cleaned: SQL of columns that change, by name.
    """
    connection.register("gone", pa.table({"place": gone}))
    fields = _field_ids(connection, path)
    columns = ", ".join(
        f"{cleaned[name]} AS {quote(name)}" if name in cleaned else quote(name) for name in fields
    )
    query = f"""
        SELECT {columns} FROM {parquet([path])}
        WHERE file_row_number NOT IN (SELECT place FROM gone) ORDER BY file_row_number
    """
    try:
        return _write(connection, query, path, fields)
    finally:
        connection.unregister("gone")


def without_places(
    connection: duckdb.DuckDBPyConnection, path: Path, gone: Places, rows_path: Path
) -> Written | None:
    """Write a file of places of deleted rows anew, as they are once some rows are gone.

    Args:
        connection: any connection of DuckDB.
        path: the file.
        gone: places of the rows that are gone from the file of rows, from 0, in order.
        rows_path: where the file of rows lies now.
    """
    fields = _field_ids(connection, path)
    rows = connection.execute(f"FROM read_parquet({literal(str(path))})").to_arrow_table()
    kept = rows.filter(pa.array(~np.isin(rows["pos"].to_numpy(), gone)))
    own = {
        "file_path": pa.repeat(str(rows_path), kept.num_rows),
        "pos": pa.array(shifted(kept["pos"].to_numpy(), gone)),
    }
    columns = [own[name] if name in own else kept[name] for name in kept.column_names]
    connection.register("places", pa.table(columns, names=kept.column_names))
    try:
        return _write(connection, "FROM places", path, fields)
    finally:
        connection.unregister("places")


def shifted(places: Places, gone: Places) -> Places:
    """Places of rows once others are gone.

    Args:
        places: (N,) places, none of them in `gone`.
        gone: places that are gone, in order.
    """
    found: Places = places - np.searchsorted(gone, places)
    return found


def _field_ids(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, int]:
    """Ids of the columns in the order of the file."""
    found = connection.execute(
        f"SELECT name, field_id FROM parquet_schema({literal(str(path))}) OFFSET 1"
    ).fetchall()
    return dict(found)


def _write(
    connection: duckdb.DuckDBPyConnection, query: str, path: Path, fields: Mapping[str, int]
) -> Written | None:
    (compression,) = connection.execute(
        f"SELECT max(compression) FROM parquet_metadata({literal(str(path))})"
    ).fetchone() or ("SNAPPY",)
    ending = "-delete.parquet" if "pos" in fields and "file_path" in fields else ".parquet"
    target = path.with_name(f"ducklake-{uuid.uuid4()}{ending}")
    ids = ", ".join(f"{literal(name)}: {number}" for name, number in fields.items())
    names, (_, count, size, footer, statistics, *_) = _copied(
        connection,
        f"COPY ({query}) TO {literal(str(target))} (FORMAT parquet, FIELD_IDS {{{ids}}}, "
        f"COMPRESSION {literal(compression or 'SNAPPY')}, RETURN_STATS)",
    )
    assert list(names[:5]) == [
        "filename",
        "count",
        "file_size_bytes",
        "footer_size_bytes",
        "column_statistics",
    ]
    if not count:
        target.unlink()
        return None
    by_id = {fields[name.strip('"')]: told for name, told in statistics.items()}
    return Written(target, count, size, footer, by_id)


def _copied(
    connection: duckdb.DuckDBPyConnection, statement: str
) -> tuple[Sequence[str], tuple[Any, ...]]:
    done = connection.execute(statement)
    row = done.fetchone()
    assert row is not None
    return [name for name, *_ in done.description or ()], row
