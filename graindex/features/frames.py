"""Entities as rows of a frame, and values carried from the entities of one kind to another.

Out of scope: which values (`graindex.features.sources`).
"""

from dataclasses import dataclass, field
from itertools import count, pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.entities import KEYS, EntityKind, ParticleTable, entity_rows
from graindex.errors import FeatureError
from graindex.features.grouped import grouped_statistics, grouped_vector_mean
from graindex.features.levels import chain, relation
from graindex.features.reading import Reading
from schemas.ddl import literal

Rows = npt.NDArray[np.int64]
Values = dict[str, pa.Array]

_numbers = count()


@dataclass
class Frame:
    """Entities of one kind in the order of dataset and key, known to a connection as a table.

    Attributes:
        reading: the connection.
        kind: what the entities are.
        particles: table that particles are taken from.
        entities: rows as `graindex.entities.entity_rows` gives them.
        name: temporary table with columns `position, dataset, entity_id`.
    """

    reading: Reading
    kind: EntityKind
    particles: ParticleTable
    entities: pa.Table
    name: str = field(init=False)
    _others: dict[tuple[str, str], "Frame"] = field(default_factory=dict, repr=False)
    _carried: dict[str, tuple[Rows, Rows]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.name = f"frame_{next(_numbers)}"
        rows = self.entities.select(["dataset", "entity_id"])
        position = pa.array(np.arange(rows.num_rows, dtype=np.int64))
        self.reading.register(self.name, rows.append_column("position", position))
        self._refuse_duplicates()

    def __len__(self) -> int:
        return int(self.entities.num_rows)

    @property
    def datasets(self) -> list[str]:
        """Collections that the entities belong to, sorted."""
        return sorted(self.entities["dataset"].unique().to_pylist())

    def of_datasets(self, alias: str) -> str:
        """SQL condition that a row, called by `alias`, belongs to one of the collections."""
        names = ", ".join(literal(name) for name in self.datasets)
        return f"{alias}.dataset IN ({names})" if names else "false"

    def other(self, kind: EntityKind, particles: ParticleTable) -> "Frame":
        """All entities of another kind in the same collections."""
        if (kind, particles) not in self._others:
            rows = entity_rows(
                self.reading.store,
                kind,
                datasets=self.datasets,
                where=None if self.datasets else "false",
                as_of=self.reading.as_of,
                particles=particles,
            )
            self._others[kind, particles] = Frame(self.reading, kind, particles, rows)
        return self._others[kind, particles]

    def carried_from(self, source: "Frame", values: Values) -> Values:
        """Values of another frame's entities for the entities of this one.

        An entity takes over what its parent has; of its parts it takes the mean of those that
        have a value.
        """
        if source is self:
            return values
        particles = source.particles if source.kind == "particle" else self.particles
        low, high = self._pairs(source, particles)
        if relation(source.kind, self.kind, particles) == "above":
            parent = np.full(len(self), -1)
            parent[low] = high
            taken = pa.array(np.where(parent < 0, 0, parent), mask=parent < 0)
            return {name: _combined(array.take(taken)) for name, array in values.items()}
        entity = np.full(len(source), -1)
        entity[low] = high
        return {name: self._mean(array, entity) for name, array in values.items()}

    def _mean(self, values: pa.Array, entity: Rows) -> pa.Array:
        valid = (entity >= 0) & values.is_valid().to_numpy(zero_copy_only=False)
        if pa.types.is_fixed_size_list(values.type):
            width = values.type.list_size
            numbers = values.filter(pa.array(valid)).flatten().to_numpy()
            means = grouped_vector_mean(entity[valid], numbers.reshape(-1, width), len(self))
            return vectors(means)
        numbers = values.filter(pa.array(valid)).to_numpy()
        return floats(grouped_statistics(entity[valid], numbers, len(self), ["mean"])["mean"])

    def _pairs(self, source: "Frame", particles: ParticleTable) -> tuple[Rows, Rows]:
        """Positions in the frame of the parts and in that of the parents, pair by pair."""
        if source.name not in self._carried:
            up = relation(source.kind, self.kind, particles) == "above"
            low, high = (self, source) if up else (source, self)
            link = link_query(self.reading, low.kind, high.kind, particles)
            pairs = self.reading.query(f"""
                SELECT l.position AS low, h.position AS high
                FROM ({link}) k
                JOIN {low.name} l ON l.dataset = k.dataset AND l.entity_id = k.low
                JOIN {high.name} h ON h.dataset = k.dataset AND h.entity_id = k.high
            """)
            self._carried[source.name] = (pairs["low"].to_numpy(), pairs["high"].to_numpy())
        return self._carried[source.name]

    def _refuse_duplicates(self) -> None:
        keys = self.entities.group_by(["dataset", "entity_id"]).aggregate([([], "count_all")])
        if keys.num_rows == self.entities.num_rows:
            return
        first = keys.filter(pc.greater(keys["count_all"], 1)).sort_by("entity_id").to_pylist()[0]
        message = (
            f"{self.kind} {first['entity_id']} of {first['dataset']} stands "
            f"{first['count_all']} times in snapshot {self.reading.as_of}: materialise the "
            f"collection again (graindex materialize --dataset {first['dataset']})"
        )
        raise FeatureError(message)


def link_query(
    reading: Reading, low: EntityKind, high: EntityKind, particles: ParticleTable
) -> str:
    """Query of columns `dataset, low, high`: keys of parts and of what they are part of."""
    steps = chain(low, particles)
    steps = steps[: steps.index(high) + 1]
    tables = {"particle": particles, "micrograph": "micrographs", "volume": "volumes"}
    start = f"SELECT dataset, {KEYS[steps[0]]} AS low, {KEYS[steps[1]]} AS high"
    query = f"{start} FROM {reading.table(tables[steps[0]])}"
    for step, above in pairwise(steps[1:]):
        query = f"""
            SELECT a.dataset, a.low, b.{KEYS[above]} AS high FROM ({query}) a
            JOIN {reading.table(tables[step])} b
              ON b.dataset = a.dataset AND b.{KEYS[step]} = a.high
        """
    return query


def floats(values: npt.NDArray[np.float64]) -> pa.Array:
    """Numbers as an Arrow array; what is not finite is missing."""
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


def vectors(values: npt.NDArray[np.float64]) -> pa.Array:
    """(N, D) numbers as N Arrow lists of D float32; rows that are not finite are missing."""
    missing = ~np.asarray(np.isfinite(values).all(axis=1))
    numbers = np.where(missing[:, None], 0, values).astype(np.float32).ravel()
    return pa.FixedSizeListArray.from_arrays(
        pa.array(numbers), values.shape[1], mask=pa.array(missing)
    )


def _combined(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
