"""Compaction: many small files become few, and every snapshot stays what it was.

Rows that lie in the metadata because they were few stay there: DuckLake 1.0 can write them to
files (`ducklake_flush_inlined_data`), but connections that are open elsewhere then fail.

Out of scope: removing anything (`graindex.history.garbage`), which the replaced files wait for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graindex.ducklake import CATALOG

if TYPE_CHECKING:
    import duckdb

    from graindex.store import Store


@dataclass(frozen=True, slots=True)
class Compacted:
    """Files of one table before and after.

    Attributes:
        table: name of the table.
        files_before: files, or fragments of a table of vectors.
        files_after: the same, afterwards.
    """

    table: str
    files_before: int
    files_after: int


def compact(store: "Store", *, author: str) -> list[Compacted]:
    """Merge the small files of the lake and of the vectors.

    Args:
        store: the store.
        author: who compacts.

    Returns:
        Tables whose number of files changed.

    Raises:
        HomeError: the home cannot be written.
        WriteConflictError: other processes kept writing.
    """
    before = _files(store)
    store.lake.commit(_merge, author=author, message="compaction")
    after = _files(store)
    found = [Compacted(name, before[name], after.get(name, 0)) for name in sorted(before)]
    for name in store.vectors.names():
        fragments = store.vectors.fragments(name)
        store.vectors.compact(name)
        found.append(Compacted(f"vectors.{name}", fragments, store.vectors.fragments(name)))
    return [each for each in found if each.files_before != each.files_after]


def _merge(cursor: "duckdb.DuckDBPyConnection") -> None:
    cursor.execute(f"CALL ducklake_merge_adjacent_files('{CATALOG}')")


def _files(store: "Store") -> dict[str, int]:
    """Number of files by table."""
    sql = f"SELECT table_name, file_count FROM ducklake_table_info('{CATALOG}')"
    rows = store.lake.query(sql).to_pylist()
    return {row["table_name"]: row["file_count"] for row in rows}
