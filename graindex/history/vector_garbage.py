"""Vectors that kept snapshots need are kept; all other old ones go.

Out of scope: finding a vector (`graindex.vector_history`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.ducklake import CATALOG
from graindex.history.difference import columns_at
from graindex.history.pins import states
from graindex.history.snapshots import Snapshot
from graindex.lake import at_clause
from graindex.vector_history import INDEX, as_column, locate_vectors

if TYPE_CHECKING:
    from graindex.history.garbage import Tally
    from graindex.store import Store

_STATES_AT_ONCE = 20
_ROWS_AT_ONCE = 5000
_BYTES_OF_A_NUMBER = 4


class VectorGarbage:
    """The vectors of one store while garbage is collected.

    Attributes:
        lost: vectors that kept snapshots name and that are nowhere.
    """

    def __init__(self, store: "Store", grace: timedelta, tally: "Tally", *, dry_run: bool) -> None:
        self.lost = 0
        self._store, self._grace, self._tally, self._dry_run = store, grace, tally, dry_run
        self._needed: dict[str, set[str]] = {}
        self._since: dict[str, datetime | None] = {}

    def secure(self, made: Sequence[Snapshot], kept: Iterable[int]) -> None:
        """Copy vectors that kept snapshots need, and that are no image's vector now.

        Args:
            made: all snapshots.
            kept: numbers of those that stay.
        """
        vectors = self._store.vectors
        self.lost = 0
        needed = self._index(states(made, INDEX, kept))
        for name in vectors.names():
            self._since.setdefault(name, vectors.current_since(name))
            rows = needed.filter(pc.equal(needed["vector_table"], name))
            self._needed[name] = set(rows["vector_hash"].to_pylist())
            for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
                self._keep(name, rows.slice(start, _ROWS_AT_ONCE))

    def _index(self, numbers: Sequence[int]) -> pa.Table:
        """Distinct vectors that the index names at some snapshots."""
        columns = "vector_table, micrograph_id, vector_hash, vector_version"
        lake = self._store.lake
        there = [number for number in numbers if columns_at(lake, INDEX, number)]
        parts = []
        for start in range(0, len(there), _STATES_AT_ONCE):
            some = there[start : start + _STATES_AT_ONCE]
            parts.append(
                lake.query(
                    " UNION ".join(
                        f"SELECT {columns} FROM {CATALOG}.{INDEX}{at_clause(number)}"
                        for number in some
                    )
                )
            )
        if not parts:
            return lake.read(INDEX, columns=tuple(columns.split(", "))).slice(0, 0)
        return pa.concat_tables(parts)

    def _keep(self, name: str, rows: pa.Table) -> None:
        found = locate_vectors(self._store.vectors, rows)
        self.lost += len(found.missing)
        if found.old and not self._dry_run:
            hashes = list(found.old)
            matrix = np.stack([found.old[one] for one in hashes])
            self._store.vectors.keep(
                name, pa.table({"vector_hash": hashes, "vector": as_column(matrix)})
            )

    def remove(self) -> None:
        """Remove kept vectors that nothing needs any more, and old versions of the tables."""
        vectors = self._store.vectors
        for name in vectors.names():
            needless = sorted(vectors.kept(name) - self._needed.get(name, set()))
            size = _BYTES_OF_A_NUMBER * vectors.dimension(name)
            self._tally.add("kept vector", len(needless), size * len(needless))
            if self._dry_run:
                self._tally.add("old version of vectors", *vectors.old(name))
                continue
            vectors.drop_kept(name, needless)
            self._tally.add("old version of vectors", *vectors.prune(name, self._age(name)))

    def _age(self, name: str) -> timedelta:
        """Age from which versions may go.

        Where writers cannot be kept out, one may have replaced a vector that was current when it
        was looked for: the version of that moment has to stay.
        """
        since = self._since.get(name)
        if not self._store.vectors.is_remote or since is None:
            return self._grace
        return self._grace + (datetime.now(since.tzinfo) - since)
