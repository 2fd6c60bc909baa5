"""Rows finished by a run that has not committed yet, so that a killed run is not lost work.

Out of scope: committing them, which `graindex.lake` does in one transaction at the end.
"""

import io
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from graindex.location import Location
from schemas.arrow import empty, from_records
from schemas.tables import TABLES


class Checkpoint:
    """Scratch files of one asset and collection, below the store's `work` folder.

    Two runs of the same asset and collection may share it: files have random names, rows carry
    the hash of their input, and a row that stands twice is the same row.
    """

    def __init__(self, location: Location, asset: str, dataset: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(location.under("work", asset, dataset))

    def save(self, records: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        """Keep finished rows, by table."""
        self.save_tables({name: from_records(TABLES[name], rows) for name, rows in records.items()})

    def save_tables(self, tables: Mapping[str, pa.Table]) -> None:
        """Keep finished rows that are Arrow tables already, by table."""
        for table, rows in tables.items():
            buffer = io.BytesIO()
            pq.write_table(rows, buffer)
            self._write(f"{table}.parquet", buffer.getvalue())

    def load(self, table: str) -> pa.Table:
        """Finished rows of a table; none where no run was cut short."""
        parts = [
            pq.read_table(io.BytesIO(self._fs.cat_file(file)))
            for file in self._files(f".{table}.parquet")
        ]
        return pa.concat_tables([empty(TABLES[table]), *parts], promote_options="permissive")

    def save_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """Keep finished rows that are a structured array, by a name of letters and digits."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self._write(f"{name}.npy", buffer.getvalue())

    def load_arrays(self, name: str) -> list[npt.NDArray[Any]]:
        """Arrays kept under a name, in no order; none where no run was cut short."""
        return [
            np.load(io.BytesIO(self._fs.cat_file(file)), allow_pickle=False)
            for file in self._files(f".{name}.npy")
        ]

    def clear(self) -> None:
        """Forget everything, after a commit."""
        if self._fs.exists(self._root):
            self._fs.rm(self._root, recursive=True)

    def _write(self, ending: str, data: bytes) -> None:
        """Write aside and move: a killed run leaves no half file under a good name."""
        batch = uuid.uuid4().hex
        self._fs.makedirs(self._root, exist_ok=True)
        aside = f"{self._root}/{batch}.part"
        self._fs.pipe_file(aside, data)
        self._fs.mv(aside, f"{self._root}/{batch}.{ending}")

    def _files(self, ending: str) -> list[str]:
        if not self._fs.exists(self._root):
            return []
        names = [str(name) for name in self._fs.ls(self._root, detail=False)]
        return [name for name in names if name.endswith(ending)]
