"""Values of feature sets: one row per entity, as everything stood at one snapshot.

Out of scope: normalisation and selection (`graindex.features.fitting`), labels and splits
(`graindex.training`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from graindex.entities import entity_rows
from graindex.features.definition import FeatureSet
from graindex.features.derived import derived_values
from graindex.features.feature import Feature
from graindex.features.frames import Frame, Values
from graindex.features.plan import Resolve, plan
from graindex.features.reading import Reading
from graindex.features.registry import resolver
from graindex.features.sources import source_values

if TYPE_CHECKING:
    from graindex.store import Store


@dataclass(frozen=True)
class FeatureValues:
    """Features of entities.

    Attributes:
        entities: rows as `graindex.entities.entity_rows` gives them.
        columns: one column per feature, in the order of the definition and the rows of `entities`:
            float64, or lists of D float32 for vectors; null where a value is missing.
    """

    entities: pa.Table
    columns: pa.Table

    @property
    def table(self) -> pa.Table:
        """Entities and features side by side."""
        schema = pa.schema([*self.entities.schema, *self.columns.schema])
        return pa.Table.from_arrays([*self.entities.columns, *self.columns.columns], schema=schema)


def feature_values(
    store: "Store",
    definition: FeatureSet,
    *,
    datasets: Sequence[str] = (),
    where: str | None = None,
    as_of: int,
) -> FeatureValues:
    """Values of a feature set; the same bytes for the same snapshot, wherever its rows lie.

    Args:
        store: the store.
        definition: the feature set; sets that it includes without a version are those of now.
        datasets: only entities of these collections; of all when empty.
        where: SQL condition on the entities, see `graindex.entities.entity_rows`.
        as_of: snapshot that tables and vectors are read at.

    Raises:
        FeatureError: the definition does not fit the tables, or an entity stands twice.
        QueryError: the condition is wrong, or there is no such snapshot.
    """
    resolve = resolver(store)
    with Reading(store, as_of) as reading:
        features = plan(definition, reading, resolve)
        entities = entity_rows(
            store,
            definition.entity,
            datasets=datasets,
            where=where,
            as_of=as_of,
            particles=definition.particles,
        )
        frame = Frame(reading, definition.entity, definition.particles, entities)
        values = _values(definition, frame, resolve)
    schema = pa.schema([_field(feature, values[feature.name]) for feature in features])
    arrays = [values[feature.name] for feature in features]
    return FeatureValues(entities, pa.Table.from_arrays(arrays, schema=schema))


def _values(definition: FeatureSet, frame: Frame, resolve: Resolve) -> Values:
    values: Values = {}
    for entry in definition.features:
        values |= source_values(entry, frame)
    for reference in definition.include:
        other = resolve(reference)
        home = frame
        if other.entity != frame.kind:
            home = frame.other(other.entity, other.particles)
        values |= frame.carried_from(home, _values(other, home, resolve))
    return values | derived_values(frame.reading, definition, values)


def _field(feature: Feature, values: pa.Array) -> pa.Field:
    metadata = {"source": ", ".join(origin.column for origin in feature.origins)}
    if feature.unit is not None:
        metadata["unit"] = feature.unit
    return pa.field(feature.name, values.type, metadata=metadata)
