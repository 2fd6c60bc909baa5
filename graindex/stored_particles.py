"""Particles of a collection by the image or volume that they are in, and what they were made from.

Out of scope: measuring them (`graindex.image_particles`, `graindex.volume_particles`).
"""

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graindex.files import sha256

if TYPE_CHECKING:
    from graindex.store import Store

Columns = dict[str, npt.NDArray[Any]]


class StoredParticles:
    """Particles of a collection; their columns are read when they are first asked for."""

    def __init__(
        self, store: "Store", table: str, parent: str, dataset: str, columns: tuple[str, ...]
    ) -> None:
        self._store, self._table, self._parent = store, table, parent
        self._dataset, self._columns = dataset, columns
        names = (parent, "input_hash", "code_version")
        rows = store.lake.read(table, dataset, columns=names)
        self._made: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for row in rows.group_by(list(names)).aggregate([([], "count_all")]).to_pylist():
            made = (row["input_hash"], row["code_version"], row["count_all"])
            self._made[row[parent]].append(made)

    def count(self, parent: str) -> int:
        """How many particles an image or volume has."""
        return sum(count for _, _, count in self._made.get(parent, ()))

    def digest(self, parent: str) -> str:
        """Hash of all that its particles were computed from."""
        made = sorted(self._made.get(parent, ()))
        return sha256(parent, *(str(part) for row in made for part in row))

    def unmeasured(self, parent: str, wanted: object) -> str | None:
        """Why its particles cannot be used, if they cannot."""
        found = self.count(parent)
        if found == wanted:
            return None
        return f"{found} of its {wanted} particles are measured; materialise {self._table} again"

    @cached_property
    def _rows(self) -> tuple[dict[str, int], npt.NDArray[np.int64], Columns]:
        names = (self._parent, *self._columns)
        rows = self._store.lake.read(self._table, self._dataset, columns=names)
        parents = rows[self._parent].combine_chunks().dictionary_encode()
        places = {key: place for place, key in enumerate(parents.dictionary.to_pylist())}
        indices = np.asarray(parents.indices.to_numpy(), np.int64)
        return places, indices, {name: rows[name].to_numpy() for name in self._columns}

    def of(self, parents: list[str]) -> tuple[npt.NDArray[np.int64], Columns]:
        """Particles of some images or volumes.

        Args:
            parents: their ids.

        Returns:
            (N,) place of each particle's parent among `parents`, and (N,) columns.
        """
        places, indices, columns = self._rows
        wanted = np.full(len(places), -1, np.int64)
        for number, parent in enumerate(parents):
            if parent in places:  # those without particles are not
                wanted[places[parent]] = number
        numbers = wanted[indices]
        chosen = numbers >= 0
        return numbers[chosen], {name: values[chosen] for name, values in columns.items()}
