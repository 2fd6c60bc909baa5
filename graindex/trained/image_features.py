"""Features of images that no store knows: vectors, figures of quality, what is given of specimens.

Out of scope: features that need a store (`graindex.features.values`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import duckdb
import numpy as np
import pyarrow as pa

from graindex.ducklake import first_line
from graindex.entities import KEYS
from graindex.errors import ModelError, QueryError
from graindex.features.definition import (
    ColumnFeatures,
    FeatureSet,
    OneHotFeatures,
    Source,
    VectorFeature,
)
from graindex.features.derived import derived_values
from graindex.trained.card import Card
from graindex.trained.given import Given
from graindex.trained.seen import SeenImage
from models.measure.image_quality import image_quality

if TYPE_CHECKING:
    from graindex.features.reading import Reading
    from models.encode.encoder import Encoder

Values = dict[str, pa.Array]
_QUALITY, _SAMPLES = "image_quality.", "samples."


def definitions_of(card: Card) -> dict[str, FeatureSet]:
    """Feature sets of a model, by reference; its own first."""
    return {
        reference: FeatureSet.model_validate(fields)
        for reference, fields in card.features.definitions.items()
    }


def refuse_store_features(card: Card, given: Given, images: Sequence[str]) -> None:
    """Refuse a model whose features an image, and what is given of it, do not tell.

    Args:
        card: card of the model.
        given: columns of `samples` that a person gives.
        images: paths of the images.

    Raises:
        ModelError: one needs a store, is not given or is no number; says which, and what to do.
    """
    for definition in definitions_of(card).values():
        needed = _needed(definition)
        if needed:
            message = (
                f"model {card.reference} needs {needed}, which an image file alone does not tell: "
                f"catalogue the image and give a {KEYS[card.features.entity]} with --home"
            )
            raise ModelError(message)
    _refuse_missing(card, given, images)
    for name in numbers_of_samples(definitions_of(card).values()).values():
        for image in images:
            given.number(name, image)  # refuses what is none


def _refuse_missing(card: Card, given: Given, images: Sequence[str]) -> None:
    known = given_names(card)
    given.refuse_unknown(known, card.reference)
    missing = given.missing(known, images)
    if not missing:
        return
    absent = next(given.lacking(images), None)
    if absent is not None:
        message = f"{given.table} has no row of {absent}, and model {card.reference} needs "
        raise ModelError(f"{message}{', '.join(missing)}: add the row, or give them by --given")
    message = (
        f"model {card.reference} needs {', '.join(missing)} of the specimen, which an image does "
        f"not tell: give {' '.join(f'--given {name}=…' for name in missing)}, a CSV by path with "
        f"--given-table, or a {KEYS[card.features.entity]} with --home"
    )
    raise ModelError(message)


def given_names(card: Card) -> list[str]:
    """Columns of `samples` that a model needs of an image file, in order."""
    columns = [
        column.removeprefix(_SAMPLES)
        for entry in _entries(definitions_of(card).values())
        if isinstance(entry, ColumnFeatures | OneHotFeatures)
        for column in _columns_of(entry)
        if column.startswith(_SAMPLES)
    ]
    return list(dict.fromkeys(columns))


def texts_told_apart(card: Card) -> dict[str, list[str]]:
    """Texts of columns of `samples` for which a model has a feature each, by column."""
    found: dict[str, list[str]] = {}
    for entry in _entries(definitions_of(card).values()):
        if isinstance(entry, OneHotFeatures):
            for column, texts in entry.one_hot.items():
                if column.startswith(_SAMPLES):
                    found.setdefault(column.removeprefix(_SAMPLES), []).extend(texts)
    return found


def numbers_of_samples(definitions: Iterable[FeatureSet]) -> dict[str, str]:
    """Features that are a number of `samples` each, with the name of its column."""
    return {
        f"{entry.prefix}{column.removeprefix(_SAMPLES)}": column.removeprefix(_SAMPLES)
        for entry in _entries(definitions)
        if isinstance(entry, ColumnFeatures)
        for column in entry.columns
        if column.startswith(_SAMPLES)
    }


def _entries(definitions: Iterable[FeatureSet]) -> list[Source]:
    return [entry for one in definitions for entry in one.features]


def _columns_of(entry: ColumnFeatures | OneHotFeatures) -> tuple[str, ...]:
    return entry.columns if isinstance(entry, ColumnFeatures) else tuple(entry.one_hot)


def _needed(definition: FeatureSet) -> str | None:
    """What of a feature set only a store knows; None where images and specimens tell all."""
    if definition.entity != "micrograph":
        return f"features of a {definition.entity}"
    if definition.normalise is not None and definition.normalise.by is not None:
        return f"other images of the {definition.normalise.by}"
    for entry in definition.features:
        if isinstance(entry, VectorFeature):
            continue
        if not isinstance(entry, ColumnFeatures | OneHotFeatures):
            return f"the table {entry.table}"
        told = (_QUALITY, _SAMPLES) if isinstance(entry, ColumnFeatures) else (_SAMPLES,)
        for column in _columns_of(entry):
            if not column.startswith(told):
                return column
    return None


def image_columns(
    card: Card, images: Sequence[SeenImage], encoder: "Encoder | None", given: Given
) -> pa.Table:
    """Raw features of images, as a store would have them: one row each.

    Args:
        card: card of the model.
        images: the images.
        encoder: the card's encoder; None where it has none.
        given: columns of `samples` that a person gives.

    Raises:
        ModelError: a feature needs a store, or is not given.
    """
    refuse_store_features(card, given, [image.uri for image in images])
    definitions = definitions_of(card)
    own = definitions[card.features.reference]
    values = _values(own, definitions, _Source(images, encoder, given))
    return pa.table({name: values[name] for name in card.features.columns})


@dataclass(frozen=True)
class _Source:
    """What features are taken from."""

    images: Sequence[SeenImage]
    encoder: "Encoder | None"
    given: Given

    @cached_property
    def quality(self) -> list[dict[str, float]]:
        """Figures of quality of each image."""
        return [asdict(image_quality(image.content)) for image in self.images]

    def column(self, column: str) -> pa.Array:
        """A column of `image_quality` or of `samples`; null where a figure is not finite."""
        name = column.partition(".")[2]
        if column.startswith(_SAMPLES):
            numbers = [self.given.number(name, image.uri) for image in self.images]
            return pa.array(numbers, pa.float64())
        found = [float(row[name]) for row in self.quality]
        known = [number if np.isfinite(number) else None for number in found]
        return pa.array(known, pa.float64())

    def is_text(self, column: str, text: str) -> pa.Array:
        """1 where a column of `samples` is given as a text, 0 where as another."""
        name = column.removeprefix(_SAMPLES)
        same = [self.given.text(name, image.uri) == text for image in self.images]
        return pa.array(same).cast(pa.float64())


def _values(
    definition: FeatureSet, definitions: Mapping[str, FeatureSet], source: _Source
) -> Values:
    values: Values = {}
    for entry in definition.features:
        values |= _of_entry(entry, source)
    for reference in definition.include:
        values |= _values(definitions[reference], definitions, source)
    if not definition.derived:
        return values
    return values | derived_values(cast("Reading", _Calculator()), definition, values)


def _of_entry(entry: Source, source: _Source) -> Values:
    if isinstance(entry, VectorFeature):
        encoder = source.encoder
        assert encoder is not None
        rows = [_vector(encoder.encode(image.content), entry.unit) for image in source.images]
        column = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(rows)), len(rows[0]))
        return {f"{entry.prefix}vector": column}
    if isinstance(entry, OneHotFeatures):
        return {
            f"{entry.prefix}{column.partition('.')[2]}_{text}": source.is_text(column, text)
            for column, texts in entry.one_hot.items()
            for text in texts
        }
    assert isinstance(entry, ColumnFeatures)
    return {
        f"{entry.prefix}{column.partition('.')[2]}": source.column(column)
        for column in entry.columns
    }


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
