"""Vectors in LanceDB: one table per space and backbone, upserted in batches.

Out of scope: making vectors (`models.encode`) and searching them (`graindex.search`).
"""

from collections.abc import Iterable
from datetime import timedelta

import fsspec
import pyarrow as pa

from graindex.location import Location
from schemas.arrow import arrow_schema
from schemas.tables import TABLES

DEFAULT_BACKBONE = "tf_efficientnet_lite0"
SPACE = "micrographs"
_COMMON = ("micrograph_id", "dataset", "encoder_id", "input_hash", "code_version")
# History stays until it is dropped by name: compaction merges small files and prunes nothing.
_KEEP = timedelta(days=36500)


def lance_table(backbone: str, space: str = SPACE) -> str:
    """Name of the Lance table for a backbone; other backbones have vectors of other lengths."""
    if backbone == DEFAULT_BACKBONE:
        return space
    return space + "_" + "".join(c if c.isalnum() else "_" for c in backbone)


class VectorStore:
    """Lance tables below the store's data."""

    def __init__(self, location: Location) -> None:
        self._uri = location.under("vectors")
        if not location.is_remote:
            fsspec.filesystem("file").makedirs(self._uri, exist_ok=True)
        # A second to import, and collections of volumes have no vectors.
        import lancedb  # noqa: PLC0415

        # Zero makes every read look for versions that other processes have written.
        self._db = lancedb.connect(self._uri, read_consistency_interval=timedelta(0))

    def has(self, name: str) -> bool:
        """Whether a table exists."""
        return name in self._db.list_tables().tables

    def read(self, name: str, dataset: str, columns: Iterable[str] = _COMMON) -> pa.Table:
        """Columns of one collection's rows; no rows where there is no table yet."""
        if not self.has(name):
            names = list(columns)
            return pa.table({column: pa.array([], pa.string()) for column in names})
        table = self._db.open_table(name)
        where = f"dataset = '{dataset}'"
        return table.search().where(where).select(list(columns)).to_arrow()

    def count(self, name: str, dataset: str) -> int:
        """Number of one collection's rows."""
        if not self.has(name):
            return 0
        return int(self._db.open_table(name).count_rows(f"dataset = '{dataset}'"))

    def upsert(self, name: str, rows: pa.Table, dimension: int) -> None:
        """Insert rows, or replace those of the same key; safe beside other writers."""
        schema = arrow_schema(TABLES["micrograph_vectors"], dimension)
        table = self._db.create_table(name, schema=schema, exist_ok=True)
        merge = table.merge_insert("micrograph_id")
        merge.when_matched_update_all().when_not_matched_insert_all().execute(rows.cast(schema))

    def delete(self, name: str, micrograph_ids: Iterable[str]) -> None:
        """Drop rows by key."""
        keys = ", ".join(f"'{key}'" for key in micrograph_ids)
        if keys:
            self._db.open_table(name).delete(f"micrograph_id IN ({keys})")

    def version(self, name: str) -> int | None:
        """Newest version of a table; None where there is none."""
        return int(self._db.open_table(name).version) if self.has(name) else None

    def compact(self, name: str) -> None:
        """Merge the small files that batches leave behind."""
        if self.has(name):
            self._db.open_table(name).optimize(cleanup_older_than=_KEEP)
