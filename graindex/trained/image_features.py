"""Features of images that no store knows: vectors and figures of quality, and what follows.

Out of scope: features that need a store (`graindex.features.values`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import duckdb
import numpy as np
import pyarrow as pa

from graindex.ducklake import first_line
from graindex.entities import KEYS
from graindex.errors import ModelError, QueryError
from graindex.features.definition import ColumnFeatures, FeatureSet, Source, VectorFeature
from graindex.features.derived import derived_values
from graindex.trained.card import Card
from graindex.trained.seen import SeenImage
from models.measure.image_quality import image_quality

if TYPE_CHECKING:
    from graindex.features.reading import Reading
    from models.encode.encoder import Encoder

Values = dict[str, pa.Array]
_QUALITY = "image_quality"


def definitions_of(card: Card) -> dict[str, FeatureSet]:
    """Feature sets of a model, by reference; its own first."""
    return {
        reference: FeatureSet.model_validate(fields)
        for reference, fields in card.features.definitions.items()
    }


def refuse_store_features(card: Card) -> None:
    """Refuse a model whose features an image alone does not tell.

    Raises:
        ModelError: one needs a store; says which, and what to do.
    """
    for definition in definitions_of(card).values():
        needed = _needed(definition)
        if needed:
            message = (
                f"model {card.reference} needs {needed}, which an image file alone does not tell: "
                f"catalogue the image and give a {KEYS[card.features.entity]} with --home"
            )
            raise ModelError(message)


def _needed(definition: FeatureSet) -> str | None:
    """What of a feature set only a store knows; None where images tell all."""
    if definition.entity != "micrograph":
        return f"features of a {definition.entity}"
    if definition.normalise is not None and definition.normalise.by is not None:
        return f"other images of the {definition.normalise.by}"
    for entry in definition.features:
        if isinstance(entry, VectorFeature):
            continue
        if not isinstance(entry, ColumnFeatures):
            return f"the table {getattr(entry, 'table', 'samples')}"
        for column in entry.columns:
            if not column.startswith(f"{_QUALITY}."):
                return column
    return None


def image_columns(card: Card, images: Sequence[SeenImage], encoder: "Encoder | None") -> pa.Table:
    """Raw features of images, as a store would have them: one row each.

    Args:
        card: card of the model.
        images: the images.
        encoder: the card's encoder; None where it has none.

    Raises:
        ModelError: a feature needs a store.
    """
    refuse_store_features(card)
    definitions = definitions_of(card)
    values = _values(definitions[card.features.reference], definitions, images, encoder)
    return pa.table({name: values[name] for name in card.features.columns})


def _values(
    definition: FeatureSet,
    definitions: Mapping[str, FeatureSet],
    images: Sequence[SeenImage],
    encoder: "Encoder | None",
) -> Values:
    values: Values = {}
    for entry in definition.features:
        values |= _of_entry(entry, images, encoder)
    for reference in definition.include:
        values |= _values(definitions[reference], definitions, images, encoder)
    if not definition.derived:
        return values
    return values | derived_values(cast("Reading", _Calculator()), definition, values)


def _of_entry(entry: Source, images: Sequence[SeenImage], encoder: "Encoder | None") -> Values:
    if isinstance(entry, VectorFeature):
        assert encoder is not None
        rows = np.stack([_vector(encoder.encode(image.content), entry.unit) for image in images])
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        return {f"{entry.prefix}vector": column}
    assert isinstance(entry, ColumnFeatures)
    found = [asdict(image_quality(image.content)) for image in images]
    values = {}
    for column in entry.columns:
        name = column.partition(".")[2]
        numbers = [float(row[name]) for row in found]
        values[f"{entry.prefix}{name}"] = pa.array(
            [number if np.isfinite(number) else None for number in numbers], pa.float64()
        )
    return values


def _vector(raw: "np.typing.NDArray[np.float32]", unit: bool) -> "np.typing.NDArray[np.float32]":
    """A vector by way of its unit vector and norm, so that it is what a store would hold."""
    norm = float((raw.astype("float64") ** 2).sum() ** 0.5)
    direction = (raw / norm).astype(np.float32)
    return direction if unit else (direction.astype(np.float64) * norm).astype(np.float32)


class _Calculator:
    """A database without tables, for the expressions of derived features."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(config={"enable_external_access": False})

    def register(self, name: str, rows: pa.Table) -> None:
        """Make rows a table of the connection."""
        self._connection.register(name, rows)

    def query(self, sql: str) -> pa.Table:
        """Result of a query.

        Raises:
            QueryError: DuckDB refused it.
        """
        try:
            return self._connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(first_line(error)) from error
