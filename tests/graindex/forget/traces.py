"""Brute force: every place of a home in which a text or some bytes stand."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SPARED = ("withdrawals", "withdrawal_effects", "withdrawn_rows")


def traces(home: Path, *needles: str) -> list[str]:
    """Files of a home that hold one of some texts, in Parquet and SQLite decoded.

    Rows of the tables that say what was withdrawn are passed over.
    """
    found = []
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        head = path.open("rb").read(15)
        if head.startswith(b"PAR1"):
            if path.relative_to(home).parts[:3][-1] not in SPARED:
                found += [f"{path}: {one}" for one in needles if _in_parquet(path, one)]
        elif head.startswith(b"SQLite format 3"):
            found += [f"{path}: {one}" for one in needles if _in_sqlite(path, one)]
        elif not path.name.startswith("catalog.sqlite"):
            found += holding(path, *(needle.encode() for needle in needles))
    return found


def holding(path: Path, *needles: bytes) -> list[str]:
    """The file, below a folder every file, if it holds some bytes as they are."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return [f"{one}: {n!r}" for one in files for n in needles if n in one.read_bytes()]


def _in_parquet(path: Path, needle: str) -> bool:
    file = pq.ParquetFile(path)
    if needle in str(file.metadata.metadata):
        return True
    rows = file.read()
    texts = [rows[field.name] for field in rows.schema if pa.types.is_string(field.type)]
    return any(needle in str(value) for column in texts for value in column.to_pylist())


def _in_sqlite(path: Path, needle: str) -> bool:
    """By a copy: SQLite's locks do not bear a second library in one process."""
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(f"{path.name}*"):
            shutil.copy(part, folder)
        connection = sqlite3.connect(Path(folder) / path.name)
        spared = _spared(connection)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            if table in spared:
                continue
            rows = connection.execute(f'SELECT * FROM "{table}"')
            names = [name for name, *_ in rows.description]
            for row in rows:
                told = dict(zip(names, row, strict=True))
                of_spared = table.endswith("column_stats") and told["table_id"] in spared
                if not of_spared and needle in str(row):
                    return True
    return False


def _spared(connection: sqlite3.Connection) -> set[object]:
    """Tables that hold rows of the spared ones, and their ids."""
    try:
        ids = connection.execute("SELECT table_id, table_name FROM ducklake_table").fetchall()
        inlined = connection.execute("SELECT * FROM ducklake_inlined_data_tables").fetchall()
    except sqlite3.OperationalError:
        return set()
    spared = {number for number, name in ids if name in SPARED}
    return {*spared, *(name for number, name, _ in inlined if number in spared)}
