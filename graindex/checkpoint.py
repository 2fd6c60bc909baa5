"""Rows finished by a run that has not committed yet, so that a killed run is not lost work.

Out of scope: committing them, which `graindex.lake` does in one transaction at the end.
"""

import io
import uuid
from collections.abc import Mapping, Sequence

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from graindex.location import Location
from schemas.arrow import empty, from_records
from schemas.tables import TABLES


class Checkpoint:
    """Scratch Parquet of one asset and collection, below the store's `work` folder.

    Two runs of the same asset and collection may share it: files have random names, rows carry
    the hash of their input, and a row that stands twice is the same row.
    """

    def __init__(self, location: Location, asset: str, dataset: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(location.under("work", asset, dataset))

    def save(self, records: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        """Keep finished rows, by table."""
        batch = uuid.uuid4().hex
        self._fs.makedirs(self._root, exist_ok=True)
        for table, rows in records.items():
            buffer = io.BytesIO()
            pq.write_table(from_records(TABLES[table], rows), buffer)
            aside = f"{self._root}/{batch}.part"
            self._fs.pipe_file(aside, buffer.getvalue())
            self._fs.mv(aside, f"{self._root}/{batch}.{table}.parquet")

    def load(self, table: str) -> pa.Table:
        """Finished rows of a table; none where no run was cut short."""
        if not self._fs.exists(self._root):
            return empty(TABLES[table])
        names = [str(name) for name in self._fs.ls(self._root, detail=False)]
        parts = [
            pq.read_table(io.BytesIO(self._fs.cat_file(name)))
            for name in names
            if name.endswith(f".{table}.parquet")
        ]
        return pa.concat_tables([empty(TABLES[table]), *parts], promote_options="permissive")

    def clear(self) -> None:
        """Forget everything, after a commit."""
        if self._fs.exists(self._root):
            self._fs.rm(self._root, recursive=True)
