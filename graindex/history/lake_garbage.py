"""Removal of snapshots from the lake, and of the files that only they had.

Out of scope: which snapshots (`graindex.history.pins`), vectors, and files of the store.
"""

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fsspec

from graindex.ducklake import CATALOG, attach, retrying
from graindex.location import Location
from schemas.ddl import quote

if TYPE_CHECKING:
    from graindex.history.garbage import Tally

# What DuckLake's specification calls its tables; no function of its own lists these rows.
_METADATA = f"__ducklake_metadata_{CATALOG}"
_ALL_OLD_FILES = f"CALL ducklake_cleanup_old_files('{CATALOG}', cleanup_all => true)"
_WOULD_REMOVE = (
    f"CALL ducklake_cleanup_old_files('{CATALOG}', cleanup_all => true, dry_run => true)"
)


class LakeGarbage:
    """A connection of its own on which snapshots are removed."""

    def __init__(self, location: Location, grace: timedelta) -> None:
        self._location = location
        self._grace = grace
        self._connection = attach(location, read_only=False)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def would_remove(self, numbers: Sequence[int], tally: "Tally") -> None:
        """Count what `remove` would: the snapshots are removed in a transaction and come back."""
        sizes = self._sizes()

        def attempt() -> list[str]:
            self._connection.begin()
            try:
                self._expire(numbers)
                return self._paths(_WOULD_REMOVE)
            finally:
                self._connection.rollback()

        files = retrying(attempt)
        tally.add("lake file", len(files), sum(sizes.get(_name(path), 0) for path in files))
        orphans = self._orphans(sizes)
        tally.add("abandoned lake file", len(orphans), sum(sizes[_name(path)] for path in orphans))

    def remove(self, numbers: Sequence[int], tally: "Tally") -> None:
        """Remove snapshots, their files, and files that killed writers left."""
        sizes = self._sizes()
        wait = self._scheduled_lately()
        retrying(lambda: self._expire(numbers))
        self._drop_rows()
        # A reader may still be at files that a compaction replaced; DuckLake 1.0's own
        # `older_than` compares times as text on SQLite and is wrong within a day.
        if not wait:
            files = retrying(lambda: self._paths(_ALL_OLD_FILES))
            tally.add("lake file", len(files), sum(sizes.get(_name(path), 0) for path in files))
        orphans = self._orphans(sizes)
        if orphans:
            retrying(lambda: self._paths(self._orphan_call(dry_run=False)))
        tally.add("abandoned lake file", len(orphans), sum(sizes[_name(path)] for path in orphans))

    def _expire(self, numbers: Sequence[int]) -> None:
        if numbers:
            versions = ", ".join(str(number) for number in numbers)
            self._connection.execute(
                f"CALL ducklake_expire_snapshots('{CATALOG}', versions => [{versions}])"
            )

    def _drop_rows(self) -> None:
        """Remove rows kept in the metadata that no snapshot shows; DuckLake 1.0 leaves them."""
        numbers = self._column("SELECT snapshot_id FROM {}.ducklake_snapshot")
        for table in self._column("SELECT table_name FROM {}.ducklake_inlined_data_tables"):
            source = f"{_METADATA}.{quote(table)}"
            spans = self._connection.execute(
                f"SELECT DISTINCT begin_snapshot, end_snapshot FROM {source} "
                "WHERE end_snapshot IS NOT NULL"
            ).fetchall()
            for begin, end in spans:
                if not any(begin <= number < end for number in numbers):
                    self._delete_rows(source, begin, end)

    def _delete_rows(self, source: str, begin: int, end: int) -> None:
        where = f"begin_snapshot = {begin:d} AND end_snapshot = {end:d}"
        retrying(lambda: self._connection.execute(f"DELETE FROM {source} WHERE {where}"))

    def _scheduled_lately(self) -> bool:
        """Whether files were put aside for removal within the grace period."""
        since = datetime.now(UTC) - self._grace
        times = self._column(
            "SELECT schedule_start::TIMESTAMPTZ FROM {}.ducklake_files_scheduled_for_deletion"
        )
        return any(when > since for when in times)

    def _orphans(self, sizes: dict[str, int]) -> list[str]:
        """Files that no table names; none at all if the list holds one that a table does name."""
        found = self._paths(self._orphan_call(dry_run=True))
        known = {
            _name(str(path))
            for table in ("data_file", "delete_file", "files_scheduled_for_deletion")
            for path in self._column(f"SELECT path FROM {{}}.ducklake_{table}")
        }
        if any(_name(path) in known for path in found):
            warnings.warn("files of the lake are listed as abandoned: left alone", stacklevel=2)
            return []
        return [path for path in found if _name(path) in sizes]

    def _orphan_call(self, *, dry_run: bool) -> str:
        seconds = self._grace.total_seconds()
        return (
            f"CALL ducklake_delete_orphaned_files('{CATALOG}', dry_run => {dry_run}, "
            f"older_than => now() - INTERVAL '{seconds:.3f} seconds')"
        )

    def _paths(self, call: str) -> list[str]:
        return [str(path) for (path, *_) in self._connection.execute(call).fetchall()]

    def _column(self, sql: str) -> list[Any]:
        rows = retrying(lambda: self._connection.execute(sql.format(_METADATA)).fetchall())
        return [value for (value,) in rows]

    def _sizes(self) -> dict[str, int]:
        """Sizes of the lake's files by their names, which are unique."""
        fs, root = fsspec.core.url_to_fs(self._location.under("lake"))
        fs.invalidate_cache()
        found = fs.find(root, detail=True) if fs.exists(root) else {}
        return {_name(str(path)): int(info["size"]) for path, info in found.items()}


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
