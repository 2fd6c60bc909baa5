"""DuckLake's metadata told of files that were written anew, in one transaction.

The transaction makes a snapshot that says that the tables were altered, so that writers that began
before conflict with it.

Out of scope: which rows go (`graindex.forget.marks`), writing files (`graindex.forget.rewriting`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from graindex.ducklake import transaction
from graindex.forget.lake_files import METADATA, LakeFile, LakeFiles
from graindex.forget.marks import Marks, texts
from graindex.forget.rewriting import Places, Written, shifted
from schemas.ddl import literal, quote

_STATISTICS = pa.schema(
    [
        *((name, pa.int64()) for name in ("data_file_id", "table_id", "column_id")),
        *((name, pa.int64()) for name in ("column_size_bytes", "value_count", "null_count")),
        *((name, pa.string()) for name in ("min_value", "max_value")),
        ("contains_nan", pa.int64()),
    ]
)
_FIRST_HIDDEN = 2**30  # ids of columns that DuckLake adds to merged files are near the greatest
_OF_A_FILE = ("data_file", "file_column_stats", "file_variant_stats", "file_partition_value")


class MovedError(Exception):
    """Another process wrote in the meantime."""


@dataclass
class Plan:
    """What is to be done to the metadata, once the new files are written.

    Attributes:
        snapshot: number of the newest snapshot when it was made.
        gone: places of the rows that go, by file.
        rows: files of rows, each with the one that takes its place; None where no row is left.
        places: the same of files of places of deleted rows.
        inlined: rows to remove or to change, by table of the metadata.
        tables: keys of the tables that change.
    """

    snapshot: int
    gone: dict[int, Places] = field(default_factory=dict)
    rows: list[tuple[LakeFile, Written | None]] = field(default_factory=list)
    places: list[tuple[LakeFile, Written | None]] = field(default_factory=list)
    inlined: dict[str, str] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)

    def written(self) -> list[Path]:
        """The new files."""
        return [new.path for _, new in (*self.rows, *self.places) if new is not None]


def commit(files: LakeFiles, marks: Marks, plan: Plan, author: str, message: str) -> int:
    """Let the new files take the place of the old ones; returns the number of the snapshot.

    Raises:
        MovedError: the metadata are not those that the plan was made of.
    """
    with transaction(files.connection) as cursor:
        _refuse_moved(cursor, plan)
        made = _new_snapshot(cursor, plan, author, message)
        for file, new in plan.rows:
            _swap_rows(cursor, file, new)
            _shift_inlined(cursor, files, file, new, plan.gone[file.number])
        _tell_statistics(cursor, [(old, new) for old, new in plan.rows if new is not None])
        for file, new in plan.places:
            _swap_places(cursor, file, new)
        for inlined, table in plan.inlined.items():
            _change_inlined(cursor, files, marks, inlined, table)
        for table, number in plan.tables.items():
            _narrow(cursor, files, table, number)
    return made


def _refuse_moved(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Raise where the metadata are not those that the plan was made of."""
    cursor.execute(f"SELECT max(snapshot_id) FROM {METADATA}.ducklake_snapshot")
    newest = cursor.fetchone()
    for kind, several in (("data", plan.rows), ("delete", plan.places)):
        numbers = ", ".join(str(old.number) for old, _ in several) or "NULL"
        names = ", ".join(literal(old.path.name) for old, _ in several) or "NULL"
        cursor.execute(
            f"""
            SELECT count(*) FROM {METADATA}.ducklake_{kind}_file
            WHERE {kind}_file_id IN ({numbers}) AND parse_filename(path) IN ({names})
            """
        )
        if cursor.fetchone() != (len(several),):
            raise MovedError
    if newest != (plan.snapshot,):
        raise MovedError


def _new_snapshot(cursor: duckdb.DuckDBPyConnection, plan: Plan, author: str, message: str) -> int:
    made = plan.snapshot + 1
    changes = ",".join(f"altered_table:{number}" for number in sorted(plan.tables.values()))
    now = datetime.now(UTC).isoformat(sep=" ", timespec="microseconds")[:-3]
    cursor.execute(
        f"""
        INSERT INTO {METADATA}.ducklake_snapshot BY NAME
        SELECT snapshot_id + 1 AS snapshot_id, {literal(now)} AS snapshot_time, schema_version,
               next_catalog_id, next_file_id
        FROM {METADATA}.ducklake_snapshot WHERE snapshot_id = {plan.snapshot}
        """
    )
    cursor.execute(
        f"""
        INSERT INTO {METADATA}.ducklake_snapshot_changes BY NAME
        SELECT {made} AS snapshot_id, {literal(changes)} AS changes_made,
               {literal(author)} AS author, {literal(message)} AS commit_message
        """
    )
    return made


def _swap_rows(cursor: duckdb.DuckDBPyConnection, file: LakeFile, new: Written | None) -> None:
    where = f"WHERE data_file_id = {file.number}"
    if new is None:
        for kind in _OF_A_FILE:
            cursor.execute(f"DELETE FROM {METADATA}.ducklake_{kind} {where}")
        return
    cursor.execute(f"UPDATE {METADATA}.ducklake_data_file SET {_as_written(file, new)} {where}")


def _tell_statistics(
    cursor: duckdb.DuckDBPyConnection, several: Sequence[tuple[LakeFile, Written]]
) -> None:
    """Replace what the metadata say of the columns of rewritten files."""
    records = [
        {
            "data_file_id": file.number,
            "table_id": file.table_id,
            "column_id": column,
            "column_size_bytes": int(told["column_size_bytes"]),
            "value_count": int(told["num_values"]) - int(told.get("null_count", 0)),
            "null_count": int(told.get("null_count", 0)),
            "min_value": told.get("min"),
            "max_value": told.get("max"),
            "contains_nan": int(told["has_nan"] == "true") if "has_nan" in told else None,
        }
        for file, new in several
        for column, told in new.statistics.items()
        if column < _FIRST_HIDDEN
    ]
    if not records:
        return
    cursor.register("told", pa.Table.from_pylist(records, _STATISTICS))
    target = f"{METADATA}.ducklake_file_column_stats"
    cursor.execute(f"DELETE FROM {target} WHERE data_file_id IN (SELECT data_file_id FROM told)")
    cursor.execute(f"INSERT INTO {target} BY NAME FROM told")
    cursor.unregister("told")


def _swap_places(cursor: duckdb.DuckDBPyConnection, file: LakeFile, new: Written | None) -> None:
    where = f"WHERE delete_file_id = {file.number}"
    if new is None:
        cursor.execute(f"DELETE FROM {METADATA}.ducklake_delete_file {where}")
        return
    told = _as_written(file, new).replace("record_count", "delete_count")
    cursor.execute(f"UPDATE {METADATA}.ducklake_delete_file SET {told} {where}")


def _as_written(file: LakeFile, new: Written) -> str:
    """SQL that sets what a row of the metadata says of its file; its folder stays."""
    old_name, name = literal(file.path.name), literal(new.path.name)
    return (
        f"path = replace(path, {old_name}, {name}), record_count = {new.rows}, "
        f"file_size_bytes = {new.size_bytes}, footer_size = {new.footer_bytes}"
    )


def _shift_inlined(
    cursor: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    file: LakeFile,
    new: Written | None,
    gone: Places,
) -> None:
    """Bring places of deleted rows that lie in the metadata up to date."""
    name = f"ducklake_inlined_delete_{file.table_id}"
    if name not in files.metadata_columns:
        return
    rows = cursor.execute(
        f"SELECT row_id, begin_snapshot FROM {METADATA}.{name} WHERE file_id = {file.number}"
    ).to_arrow_table()
    places = rows["row_id"].to_numpy()
    kept = ~np.isin(places, gone) if new is not None else np.zeros(len(places), bool)
    cursor.execute(f"DELETE FROM {METADATA}.{name} WHERE file_id = {file.number}")
    if kept.any():
        moved = pa.table(
            {
                "file_id": pa.repeat(file.number, int(kept.sum())),
                "row_id": shifted(places[kept], gone),
                "begin_snapshot": rows["begin_snapshot"].to_numpy()[kept],
            }
        )
        cursor.register("moved", moved)
        cursor.execute(f"INSERT INTO {METADATA}.{name} BY NAME FROM moved")
        cursor.unregister("moved")


def _change_inlined(
    cursor: duckdb.DuckDBPyConnection, files: LakeFiles, marks: Marks, inlined: str, table: str
) -> None:
    target = f"{METADATA}.{quote(inlined)}"
    columns = files.inlined_columns(inlined)
    cursor.execute(f"DELETE FROM {target} WHERE {marks.doomed(table, columns)}")
    for name, told in marks.cleaned(columns).items():
        if marks.replacements:
            mentioned = marks.mentioned(table, {name: "VARCHAR"})
            cursor.execute(f"UPDATE {target} SET {quote(name)} = {told} WHERE {mentioned}")


def _narrow(cursor: duckdb.DuckDBPyConnection, files: LakeFiles, table: str, number: int) -> None:
    """Least and greatest texts of a table's columns from those of its files and inlined rows."""
    told = cursor.execute(
        f"""
        SELECT c.column_id, any_value(c.column_name), min(f.min_value), max(f.max_value),
               coalesce(bool_or(f.value_count > 0 AND f.min_value IS NULL), false)
        FROM {METADATA}.ducklake_column c
        LEFT JOIN {METADATA}.ducklake_file_column_stats f
          ON f.table_id = c.table_id AND f.column_id = c.column_id
        WHERE c.table_id = {number} AND c.column_type = 'varchar' GROUP BY c.column_id
        """
    ).fetchall()
    ends = {name: [end for end in (low, high) if end is not None] for _, name, low, high, _ in told}
    for owner, inlined in files.inlined:
        names = [name for name in texts(files.inlined_columns(inlined)) if name in ends]
        if owner == table and names:
            asked = ", ".join(f"min({quote(n)}), max({quote(n)})" for n in names)
            found = cursor.execute(f"SELECT {asked} FROM {METADATA}.{quote(inlined)}").fetchone()
            for place, end in enumerate(found or ()):
                ends[names[place // 2]] += [] if end is None else [end]
    target = f"{METADATA}.ducklake_table_column_stats"
    for column, name, _, _, unknown in told:
        values = (None, None) if unknown or not ends[name] else (min(ends[name]), max(ends[name]))
        low, high = ("NULL" if end is None else literal(end) for end in values)
        cursor.execute(
            f"""
            UPDATE {target} SET min_value = {low}, max_value = {high}
            WHERE table_id = {number} AND column_id = {column}
              AND (min_value IS DISTINCT FROM {low} OR max_value IS DISTINCT FROM {high})
            """
        )
