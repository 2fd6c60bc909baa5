"""Vectors in LanceDB: one table per encoder, upserted in batches.

Beside each table stands another of kept vectors, `<name>_kept`, by the hash of the vector: those
that a snapshot needs although the image has another vector by now.

Out of scope: making vectors (`models.encode`), searching them (`graindex.search`), and which are
needed (`graindex.vector_history`).
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

import fsspec
import pyarrow as pa
from filelock import FileLock

from graindex.errors import GraindexError
from graindex.location import Location
from schemas.arrow import arrow_schema
from schemas.ddl import literal
from schemas.tables import TABLES

_COMMON = ("micrograph_id", "dataset", "encoder_id", "input_hash", "code_version")
# History stays until it is dropped by name: compaction merges small files and prunes nothing.
_KEEP = timedelta(days=36500)
_KEPT = "_kept"
_KEYS_AT_ONCE = 5000
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}


class VersionGoneError(GraindexError):
    """A version of a table is not there, or was cleaned up while it was read."""


class VectorStore:
    """Lance tables below the store's data."""

    def __init__(self, location: Location) -> None:
        self._uri = location.under("vectors")
        self._remote = location.is_remote
        if not self._remote:
            fsspec.filesystem("file").makedirs(self._uri, exist_ok=True)
        # A second to import, and collections of volumes have no vectors.
        import lancedb  # noqa: PLC0415

        # Zero makes every read look for versions that other processes have written.
        self._db = lancedb.connect(self._uri, read_consistency_interval=timedelta(0))

    def alone(self) -> AbstractContextManager[object]:
        """Lock that writers hold for a moment, and the garbage collector while it cleans.

        Without it a vector could be replaced after the collector found it current and before it
        removed the versions that hold it. Object stores have no locks: see `current_since`.
        """
        return nullcontext() if self._remote else FileLock(f"{self._uri}/.writing.lock")

    @property
    def is_remote(self) -> bool:
        """Whether `alone` cannot keep others out."""
        return self._remote

    def names(self) -> list[str]:
        """Tables of vectors, those of kept ones left out."""
        return [name for name in self._db.list_tables().tables if not name.endswith(_KEPT)]

    def has(self, name: str) -> bool:
        """Whether a table exists."""
        return name in self._db.list_tables().tables

    def read(
        self,
        name: str,
        dataset: str,
        columns: Iterable[str] = _COMMON,
        version: int | None = None,
    ) -> pa.Table:
        """Columns of one collection's rows; no rows where there is no table yet.

        Raises:
            VersionGoneError: there is no such version.
        """
        if not self.has(name):
            names = list(columns)
            return pa.table({column: pa.array([], pa.string()) for column in names})
        return self._rows(name, columns, f"dataset = {literal(dataset)}", version)

    def read_images(
        self, name: str, micrograph_ids: Sequence[str], version: int | None = None
    ) -> pa.Table:
        """Columns `micrograph_id, vector` of some images, in no order.

        Raises:
            VersionGoneError: there is no such version.
        """
        return self._by_key(name, "micrograph_id", micrograph_ids, version)

    def read_kept(self, name: str, hashes: Sequence[str]) -> pa.Table:
        """Columns `vector_hash, vector` of the kept ones among these; `name` is the table's own."""
        return self._by_key(name + _KEPT, "vector_hash", hashes, None)

    def kept(self, name: str) -> set[str]:
        """Hashes of all kept vectors of a table."""
        if not self.has(name + _KEPT):
            return set()
        return set(self._rows(name + _KEPT, ["vector_hash"], None, None)["vector_hash"].to_pylist())

    def count(self, name: str, dataset: str) -> int:
        """Number of one collection's rows."""
        if not self.has(name):
            return 0
        return int(self._db.open_table(name).count_rows(f"dataset = {literal(dataset)}"))

    def dimension(self, name: str) -> int:
        """Length of a table's vectors."""
        return int(self._db.open_table(name).schema.field("vector").type.list_size)

    def fragments(self, name: str) -> int:
        """Number of a table's files of vectors."""
        return int(self._stats(name)["fragment_stats"]["num_fragments"])

    def upsert(self, name: str, rows: pa.Table, dimension: int) -> None:
        """Insert rows, or replace those of the same key; safe beside other writers."""
        schema = arrow_schema(TABLES["micrograph_vectors"], dimension)
        with self.alone():
            table = self._db.create_table(name, schema=schema, exist_ok=True)
            merge = table.merge_insert("micrograph_id")
            merge.when_matched_update_all().when_not_matched_insert_all().execute(
                rows.select(schema.names).cast(schema)
            )

    def keep(self, name: str, rows: pa.Table) -> None:
        """Keep vectors beside a table; those of a hash that is there already stay as they are.

        Args:
            name: the table.
            rows: columns `vector_hash, vector`.
        """
        if not rows.num_rows:
            return
        key = pa.field("vector_hash", pa.string(), nullable=False, metadata=_PRIMARY_KEY)
        schema = pa.schema([key, pa.field("vector", rows["vector"].type, nullable=False)])
        table = self._db.create_table(name + _KEPT, schema=schema, exist_ok=True)
        merge = table.merge_insert("vector_hash")
        merge.when_not_matched_insert_all().execute(rows.select(schema.names).cast(schema))

    def delete(self, name: str, micrograph_ids: Iterable[str]) -> None:
        """Drop rows by key; older versions still hold them."""
        with self.alone():
            self._delete(name, "micrograph_id", list(micrograph_ids))

    def drop_kept(self, name: str, hashes: Iterable[str]) -> None:
        """Drop kept vectors; older versions still hold them."""
        self._delete(name + _KEPT, "vector_hash", list(hashes))

    def erase(self, name: str, micrograph_ids: Iterable[str]) -> None:
        """Drop rows by key, and write the others anew, so that no file of today holds them.

        Deletion alone marks rows: their vectors stay in the file until much of it is deleted.
        Older versions still hold them until `prune`.
        """
        with self.alone():
            self._delete(name, "micrograph_id", list(micrograph_ids))
            self._rewrite(name)

    def erase_kept(self, name: str, hashes: Iterable[str]) -> None:
        """Drop kept vectors as `erase` drops rows."""
        if self.has(name + _KEPT):
            self._delete(name + _KEPT, "vector_hash", list(hashes))
            self._rewrite(name + _KEPT)

    def version(self, name: str) -> int | None:
        """Newest version of a table; None where there is none."""
        return int(self._db.open_table(name).version) if self.has(name) else None

    def versions(self, name: str) -> list[int]:
        """Versions that are still there, oldest first."""
        return sorted(self._times(name))

    def current_since(self, name: str) -> datetime | None:
        """When the newest version was made, in local time; None where there is no table."""
        times = self._times(name)
        return times[max(times)] if times else None

    def compact(self, name: str) -> None:
        """Merge the small files that batches leave behind."""
        if self.has(name):
            with self.alone():
                self._db.open_table(name).optimize(cleanup_older_than=_KEEP)

    def prune(self, name: str, older_than: timedelta) -> tuple[int, int]:
        """Remove old versions of a table and of its kept vectors; returns (versions, bytes).

        Call it with the lock that `alone` gives. The newest version always stays.

        Args:
            name: the table.
            older_than: versions made longer ago than this go.
        """
        before, size = self._old_versions(name), self._size(name)
        for each in (name, name + _KEPT):
            if self.has(each):
                # Without writers no file is unfinished. Lance takes one for it that is younger than
                # the newest version, as all are in a home that was copied.
                with warnings.catch_warnings(category=UserWarning, action="ignore"):  # of zero
                    self._db.open_table(each).optimize(
                        cleanup_older_than=older_than, delete_unverified=not self._remote
                    )
        return max(0, before - self._old_versions(name)), max(0, size - self._size(name))

    def old(self, name: str) -> tuple[int, int]:
        """Number of old versions of a table and of its kept vectors, and about what they take.

        Returns:
            (versions, bytes).
        """
        current = 0
        for each in (name, name + _KEPT):
            if self.has(each):
                current += int(self._stats(each)["total_bytes"])
        return self._old_versions(name), max(0, self._size(name) - current)

    def _stats(self, name: str) -> Any:
        return self._db.open_table(name).stats()  # a dict, whatever its type says

    def _old_versions(self, name: str) -> int:
        return sum(max(0, len(self._times(each)) - 1) for each in (name, name + _KEPT))

    def _size(self, name: str) -> int:
        fs, root = fsspec.core.url_to_fs(self._uri)
        fs.invalidate_cache()
        tables = [f"{root}/{each}.lance" for each in (name, name + _KEPT) if self.has(each)]
        found = [file for table in tables for file in fs.find(table, detail=True).values()]
        return sum(int(file["size"]) for file in found)

    def _times(self, name: str) -> dict[int, datetime]:
        if not self.has(name):
            return {}
        entries = self._db.open_table(name).list_versions()
        return {int(entry["version"]): entry["timestamp"] for entry in entries}

    def _by_key(self, name: str, key: str, values: Sequence[str], version: int | None) -> pa.Table:
        if not values or not self.has(name):
            return pa.table({key: pa.array([], pa.string()), "vector": pa.array([], pa.null())})
        columns = [key, "vector"]
        return pa.concat_tables(
            self._rows(name, columns, _among(key, some), version) for some in _parts(values)
        )

    def _rows(
        self, name: str, columns: Iterable[str], where: str | None, version: int | None
    ) -> pa.Table:
        try:
            table = self._db.open_table(name)
            if version is not None:
                table.checkout(version)
            query = table.search()
            return (query.where(where) if where else query).select(list(columns)).to_arrow()
        except (ValueError, RuntimeError, OSError) as error:
            if not any(word in str(error).lower() for word in ("no longer exists", "not found")):
                raise
            message = f"version {version} of the vectors {name!r} was removed"
            raise VersionGoneError(message) from error

    def _delete(self, name: str, key: str, values: Sequence[str]) -> None:
        for some in _parts(values):
            self._db.open_table(name).delete(_among(key, some))

    def _rewrite(self, name: str) -> None:
        table = self._db.open_table(name)
        self._db.create_table(name, table.to_arrow(), schema=table.schema, mode="overwrite")


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _KEYS_AT_ONCE):
        yield values[start : start + _KEYS_AT_ONCE]


def _among(key: str, values: Sequence[str]) -> str:
    return f"{key} IN ({', '.join(literal(value) for value in values)})"
