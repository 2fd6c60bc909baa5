"""What a feature set is: sources, derived features, normalisation and selection, as declared.

Out of scope: whether the tables have what it names (`graindex.features.plan`), and reading YAML
(`graindex.features.files`).
"""

import json
import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from graindex.entities import EntityKind, ParticleTable
from graindex.features.expressions import check_expression
from graindex.features.products import with_products
from graindex.files import sha256
from schemas.fields import FIELDS

MOMENTS = ("count", "mean", "sd", "sum", "min", "max", "median", "iqr", "mad")
_QUANTILE = re.compile(r"q(\d{1,2})")


def quantile_of(statistic: str) -> float | None:
    """Share below the quantile that a statistic such as q10 names; None for other statistics."""
    found = _QUANTILE.fullmatch(statistic)
    return int(found[1]) / 100 if found and int(found[1]) else None


def _known_statistic(name: str) -> str:
    if name not in MOMENTS and quantile_of(name) is None:
        message = f"{name!r} is no statistic; there are {', '.join(MOMENTS)} and q1 to q99"
        raise ValueError(message)
    return name


def _qualified(column: str) -> str:
    table, dot, name = column.partition(".")
    if not (table and dot and name):
        message = f"{column!r}: write table.column, such as image_quality.noise_std"
        raise ValueError(message)
    return column


Column = Annotated[str, AfterValidator(_qualified)]
Statistic = Annotated[str, AfterValidator(_known_statistic)]
Prefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]*$")]
VectorTable = Annotated[str, StringConstraints(pattern=r"^micrographs\w*$")]
Name = Annotated[str, StringConstraints(pattern=FIELDS["feature_set"].pattern)]
Reference = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}(@[1-9]\d*)?$")]
DerivedName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VectorFeature(_Part):
    """Pooled features of images: vector × norm.

    Attributes:
        vector: table of vectors in LanceDB; `micrographs` is that of the default backbone.
        unit: the vector of length 1 instead.
        prefix: goes before the feature's name, `vector`.
    """

    vector: VectorTable
    unit: bool = False
    prefix: Prefix = ""


class ColumnFeatures(_Part):
    """Columns with one value per entity, per part of it (their mean is taken) or per parent.

    Attributes:
        columns: `table.column`, numbers or flags.
        prefix: goes before the features' names, which are those of the columns.
    """

    columns: tuple[Column, ...] = Field(min_length=1)
    prefix: Prefix = ""


class OneHotFeatures(_Part):
    """A feature for each declared text of a column: 1 where it is that text, 0 where another.

    Attributes:
        one_hot: texts by `table.column`; another text is 0 in all of them, none is missing.
        prefix: goes before the features' names, `column_text`.
    """

    one_hot: dict[Column, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)
    prefix: Prefix = ""


class PartFeatures(_Part):
    """Statistics over the parts of an entity, such as the particles of an image.

    Attributes:
        table: table of the parts, one row each.
        columns: its columns that statistics are taken of.
        statistics: which; `count` counts the parts once, whatever the columns.
        border: whether particles that touch the border are parts.
        min_confidence: least `segmentation_confidence` of a part.
        null_confidence: whether a part without a confidence is kept.
        where: SQL condition over the columns of the table.
        weighted_by: column of the table that weights the mean.
        pooled: at the level of specimens, take statistics over all parts of the specimen; else
            over those of each image, and then their mean.
        prefix: goes before the features' names, `column_statistic` and `table_count`.
    """

    table: str
    columns: tuple[str, ...] = ()
    statistics: tuple[Statistic, ...] = Field(min_length=1)
    border: Literal["exclude", "include"] = "exclude"
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    null_confidence: Literal["keep", "drop"] = "keep"
    where: str | None = None
    weighted_by: str | None = None
    pooled: bool = True
    prefix: Prefix = ""

    @field_validator("where")
    @classmethod
    def _is_condition(cls, where: str | None) -> str | None:
        if where is not None:
            check_expression(where)
        return where

    @model_validator(mode="after")
    def _fits_together(self) -> "PartFeatures":
        measured = [name for name in self.statistics if name != "count"]
        if measured and not self.columns:
            message = f"{measured[0]!r} needs columns to be taken of"
            raise ValueError(message)
        if self.columns and not measured:
            message = "columns are given, and no statistic of them but count"
            raise ValueError(message)
        if self.weighted_by is not None and measured != ["mean"]:
            message = "weighted_by weights the mean alone; give other statistics an entry of theirs"
            raise ValueError(message)
        return self


SOURCES: dict[str, type[BaseModel]] = {
    "vector": VectorFeature,
    "one_hot": OneHotFeatures,
    "table": PartFeatures,
    "columns": ColumnFeatures,
}
"""Kinds of entries of `features`, by the key that tells them."""

Source = VectorFeature | OneHotFeatures | PartFeatures | ColumnFeatures


def _kind_of(entry: object) -> str | None:
    """Which kind of source an entry is, by its keys or its class."""
    for key, kind in SOURCES.items():
        if isinstance(entry, kind) or (isinstance(entry, dict) and key in entry):
            return key
    return None


_Entry = Annotated[
    Annotated[VectorFeature, Tag("vector")]
    | Annotated[OneHotFeatures, Tag("one_hot")]
    | Annotated[PartFeatures, Tag("table")]
    | Annotated[ColumnFeatures, Tag("columns")],
    Discriminator(
        _kind_of,
        custom_error_type="unknown_source",
        custom_error_message="an entry has one of the keys vector, columns, table, one_hot",
    ),
]


class Normalise(_Part):
    """How features are put on a common scale.

    Attributes:
        by: each collection, session or specimen by its own rows; all by the fitted rows when None.
        method: standard is mean and standard deviation, robust is median and interquartile range.
    """

    by: Literal["dataset", "session", "sample"] | None = None
    method: Literal["standard", "robust"] = "standard"


class Select(_Part):
    """Which features are left out; judged on the fitted rows, in this order.

    Attributes:
        max_missing: largest share of rows without a value.
        min_variance: features that vary less, in their own unit squared, are left out.
        max_correlation: of two features that correlate more, the later one is left out.
    """

    max_missing: float | None = Field(default=None, ge=0, le=1)
    min_variance: float | None = Field(default=None, ge=0)
    max_correlation: float | None = Field(default=None, gt=0, le=1)


class FeatureSet(_Part):
    """A named group of features of one kind of entity.

    Attributes:
        name: its name, small letters, digits and underscores.
        entity: what a row is of.
        description: for people; no part of what makes two definitions equal.
        particles: table that particles are taken from, where they are the entity.
        features: where features come from, in order.
        include: other sets, `name` or `name@version`, whose features come after these.
        derived: SQL expressions over features of the set, which may use each other. Given
            `products`, squares and products of features are written out here.
        normalise: scaling; none when None.
        select: selection; none when None.
    """

    name: Name
    entity: EntityKind
    description: str = ""
    particles: ParticleTable = "particles_2d"
    features: tuple[_Entry, ...] = ()
    include: tuple[Reference, ...] = ()
    derived: dict[DerivedName, str] = Field(default_factory=dict)
    normalise: Normalise | None = None
    select: Select | None = None

    @model_validator(mode="before")
    @classmethod
    def _products_written_out(cls, given: object) -> object:
        return with_products(given) if isinstance(given, dict) and "products" in given else given

    @field_validator("derived")
    @classmethod
    def _are_expressions(cls, derived: dict[str, str]) -> dict[str, str]:
        for name, expression in derived.items():
            try:
                check_expression(expression)
            except ValueError as error:
                message = f"{name}: {error}"
                raise ValueError(message) from error
        return derived

    @model_validator(mode="after")
    def _has_features(self) -> "FeatureSet":
        if not self.features and not self.include:
            message = "a feature set needs features or include"
            raise ValueError(message)
        return self

    def canonical(self) -> str:
        """The definition as JSON without its description: the same text for equal definitions."""
        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"description"})
        return json.dumps(content, ensure_ascii=False)

    @property
    def definition_hash(self) -> str:
        """SHA-256 of `canonical()`."""
        return definition_hash(self.canonical())


def definition_hash(canonical: str) -> str:
    """SHA-256 of a definition as JSON."""
    return sha256(canonical)
