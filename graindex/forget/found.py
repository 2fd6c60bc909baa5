"""Rows of what is withdrawn: how many there are, in which tables and snapshots.

Out of scope: erasing them (`graindex.forget.erasing`).
"""

from dataclasses import dataclass

from graindex.ducklake import CATALOG
from graindex.forget.lake_files import METADATA, LakeFiles, parquet
from graindex.forget.marks import Marks
from schemas.ddl import quote


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Rows of one table.

    Attributes:
        table: its name.
        now: rows that the newest snapshot shows.
        ever: rows that lie in the home, those of all snapshots.
        snapshots: snapshots that show some, of those that are kept.
    """

    table: str
    now: int
    ever: int
    snapshots: int


def found_rows(files: LakeFiles, marks: Marks) -> list[FoundRows]:
    """Tables that hold such rows at any snapshot, by name."""
    marks.register(files.connection)
    numbers = files.column(f"SELECT snapshot_id FROM {METADATA}.ducklake_snapshot")
    spans: dict[str, list[tuple[int, int | None, int]]] = {}
    several: dict[str, list[tuple[str, int, int | None]]] = {}
    for file in files.data_files:
        several.setdefault(file.table, []).append((str(file.path), file.begin, file.end))
    for table, listed in several.items():
        source = parquet([path for path, _, _ in listed])
        doomed = marks.doomed(table, files.columns(source))
        counted = dict(
            files.rows(f"SELECT filename, count(*) FROM {source} WHERE {doomed} GROUP BY ALL")
        )
        spans[table] = [(b, e, counted[path]) for path, b, e in listed if path in counted]
    for table, inlined in files.inlined:
        doomed = marks.doomed(table, files.inlined_columns(inlined))
        spans.setdefault(table, []).extend(
            files.rows(
                f"""
                SELECT begin_snapshot, end_snapshot, count(*)
                FROM {METADATA}.{quote(inlined)} WHERE {doomed} GROUP BY ALL
                """
            )
        )
    return [
        FoundRows(
            table,
            now=_now(files, marks, table),
            ever=sum(count for _, _, count in found),
            snapshots=sum(
                any(begin <= number and (end is None or number < end) for begin, end, _ in found)
                for number in numbers
            ),
        )
        for table, found in sorted(spans.items())
        if found
    ]


def _now(files: LakeFiles, marks: Marks, table: str) -> int:
    source = f"{CATALOG}.{quote(table)}"
    described = files.rows(f"DESCRIBE {source}")
    columns = {name: kind for name, kind, *_ in described}
    (count,) = files.column(f"SELECT count(*) FROM {source} WHERE {marks.doomed(table, columns)}")
    return int(count)
