"""Which features a definition comes to, and from which columns; everything wrong is said here.

Out of scope: their values (`graindex.features.sources`).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from graindex.entities import EntityKind, ParticleTable
from graindex.errors import FeatureError
from graindex.features.definition import (
    ColumnFeatures,
    FeatureSet,
    OneHotFeatures,
    PartFeatures,
    Source,
    VectorFeature,
)
from graindex.features.derived import plan_derived
from graindex.features.expressions import check_expression
from graindex.features.feature import Feature, Origin
from graindex.features.files import cycle_message, name_of
from graindex.features.levels import LEVELS, chain, level_of, relation
from graindex.suggestions import suggestion
from schemas.fields import FIELDS

Resolve = Callable[[str], FeatureSet]
"""Finds the feature set that an entry of `include` refers to."""

_NUMBERS = re.compile(r"(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|FLOAT|DOUBLE|BOOLEAN|DECIMAL.*)")
_CONFIDENCE, _BORDER = "segmentation_confidence", "touches_border"


class Columns(Protocol):
    """Tables whose columns can be asked for."""

    def columns(self, name: str, /) -> dict[str, str]:
        """SQL types of a table's columns by name."""


@dataclass(frozen=True)
class _Planner:
    """What entries are planned for.

    Attributes:
        tables: tables as of a snapshot.
        entity: what rows are of.
        particles: table that particles are taken from.
    """

    tables: Columns
    entity: EntityKind
    particles: ParticleTable

    def plan(self, entry: Source) -> list[Feature]:
        if isinstance(entry, VectorFeature):
            return [self._vector(entry)]
        if isinstance(entry, ColumnFeatures):
            return [self._column(entry.prefix, column) for column in entry.columns]
        if isinstance(entry, OneHotFeatures):
            return [
                replace(self._column(entry.prefix, column, text), unit="1")
                for column, texts in entry.one_hot.items()
                for text in texts
            ]
        return self._statistics(entry)

    def _vector(self, entry: VectorFeature) -> Feature:
        mean = self._aggregation("micrograph", "vectors of images")
        columns = ["vector"] if entry.unit else ["vector", "vector_norm"]
        origins = tuple(Origin(f"micrograph_vectors.{name}", mean) for name in columns)
        return Feature(f"{entry.prefix}vector", origins, "1", entry.model_dump_json(), True)

    def _column(self, prefix: str, column: str, text: str | None = None) -> Feature:
        table, _, name = column.partition(".")
        kind = self._type(table, name)
        if text is None:
            _refuse_no_number(column, kind)
        level = level_of(table, self.entity, self.particles)
        if not level.unique:
            message = (
                f"{column}: {table} has many rows per {level.kind}; ask for statistics of them: "
                f"table: {table}, columns: [{name}], statistics: [mean]"
            )
            raise FeatureError(message)
        origin = Origin(column, self._aggregation(level.kind, column))
        own = f"{prefix}{name}" if text is None else f"{prefix}{name}_{text}"
        return Feature(own, (origin,), _unit(name), f"{column} {text}")

    def _statistics(self, entry: PartFeatures) -> list[Feature]:
        table = entry.table
        known = self._known(table)
        for name in (*entry.columns, *([entry.weighted_by] if entry.weighted_by else [])):
            _refuse_no_number(f"{table}.{name}", self._type(table, name))
        level = level_of(table, self.entity, self.particles)
        self._refuse_single(entry, level.unique and level.kind == self.entity)
        self._aggregation(level.kind, table)
        filters = [Origin(f"{table}.{name}", "filter") for name in _filters(entry, known)]
        if entry.weighted_by:
            filters.append(Origin(f"{table}.{entry.weighted_by}", "weight"))
        rule = entry.model_dump_json(exclude={"columns", "statistics"})

        def feature(own: str, column: str, statistic: str, unit: str | None) -> Feature:
            origin = Origin(f"{table}.{column}", statistic)
            others = (other for other in filters if other.column != origin.column)
            return Feature(f"{entry.prefix}{own}", (origin, *others), unit, f"{own} {rule}")

        counted = "particle_id" if "particle_id" in known else level.key
        return [
            feature(f"{table}_count", counted, "count", "1")
            for statistic in entry.statistics
            if statistic == "count"
        ] + [
            feature(f"{name}_{statistic}", name, statistic, _unit(name))
            for name in entry.columns
            for statistic in entry.statistics
            if statistic != "count"
        ]

    def _refuse_single(self, entry: PartFeatures, single: bool) -> None:
        if single or self.entity == "particle":
            message = (
                f"{entry.table}: a {self.entity} has no several rows of it to take statistics of; "
                f"write columns: [{entry.table}.{(*entry.columns, 'COLUMN')[0]}]"
            )
            raise FeatureError(message)

    def _aggregation(self, kind: EntityKind, what: str) -> str | None:
        """The mean over parts, or nothing where an entity has the value itself.

        Raises:
            FeatureError: the value is neither of a part of the entity nor of what it is part of.
        """
        found = relation(kind, self.entity, self.particles)
        if found is None:
            above = " or a ".join(chain(self.entity, self.particles))
            message = (
                f"{what} is of a {kind}, which says nothing of a {self.entity}: take columns of a "
                f"{above}"
            )
            raise FeatureError(message)
        return "mean" if found == "below" else None

    def _known(self, table: str) -> dict[str, str]:
        if table not in LEVELS:
            message = f"no features can be taken from table {table!r}; {suggestion(table, LEVELS)}"
            raise FeatureError(message)
        return self.tables.columns(table)

    def _type(self, table: str, name: str) -> str:
        known = self._known(table)
        if name not in known:
            numbers = [column for column, kind in known.items() if _NUMBERS.fullmatch(kind)]
            message = f"table {table!r} has no column {name!r}; {suggestion(name, numbers)}"
            raise FeatureError(message)
        return known[name]


def plan(
    definition: FeatureSet, tables: Columns, resolve: Resolve, path: Sequence[str] = ()
) -> tuple[Feature, ...]:
    """Features of a set in their order: its own, those it includes, those derived from them.

    Args:
        definition: the set.
        tables: tables as of a snapshot.
        resolve: finds included sets.
        path: names of the sets that include this one, from the outermost.

    Raises:
        FeatureError: a table, column or feature is unknown or not a number, two features have one
            name, or sets or derived features go in a circle; one line says which.
    """
    if definition.name in path:
        start = path.index(definition.name)
        raise FeatureError(cycle_message([*path[start:], definition.name]))
    planner = _Planner(tables, definition.entity, definition.particles)
    features: list[Feature] = []
    for entry in definition.features:
        try:
            features += planner.plan(entry)
        except FeatureError as error:
            raise FeatureError(f"feature set {definition.name!r}: {error}") from error
    for reference in definition.include:
        inner = (*path, definition.name)
        if name_of(reference) in inner:
            start = inner.index(name_of(reference))
            raise FeatureError(cycle_message([*inner[start:], name_of(reference)]))
        other = resolve(reference)
        included = plan(other, tables, resolve, inner)
        features += [_carried(feature, other, planner) for feature in included]
    features = _distinct(definition.name, features)
    return (*features, *plan_derived(definition, features))


def _carried(feature: Feature, other: FeatureSet, planner: _Planner) -> Feature:
    particles = other.particles if other.entity == "particle" else planner.particles
    how = relation(other.entity, planner.entity, particles)
    if how is None or (how == "same" and particles != planner.particles):
        message = (
            f"feature set {other.name!r} is of a {other.entity}, which says nothing of a "
            f"{planner.entity}: leave it out"
        )
        raise FeatureError(message)
    if how == "same":
        return feature
    mean = "mean" if how == "below" else None
    origins = tuple(replace(o, aggregation=_then(o.aggregation, mean)) for o in feature.origins)
    return replace(feature, origins=origins, rule=f"{how} {other.entity}: {feature.rule}")


def _then(first: str | None, second: str | None) -> str | None:
    if first in {"filter", "weight"}:
        return first
    return f"{second} of {first}" if first and second else first or second


def _distinct(owner: str, features: Iterable[Feature]) -> list[Feature]:
    """Features, those that come to the same once.

    Raises:
        FeatureError: different ones have one name.
    """
    known: dict[str, Feature] = {}
    for feature in features:
        # SQL does not tell capital letters from small ones.
        before = known.setdefault(feature.name.lower(), feature)
        if before != feature:
            message = (
                f"feature set {owner!r}: two features are called {feature.name!r}, of "
                f"{before.origins[0].column} and {feature.origins[0].column}; give one entry a "
                "prefix"
            )
            raise FeatureError(message)
    return list(known.values())


def _filters(entry: PartFeatures, known: dict[str, str]) -> list[str]:
    """Columns that decide which rows are parts.

    Raises:
        FeatureError: a rule is about a column that the table does not have.
    """
    rules = {
        "border": (_BORDER, "border" in entry.model_fields_set),
        "min_confidence": (_CONFIDENCE, entry.min_confidence is not None),
    }
    for rule, (column, asked) in rules.items():
        if asked and column not in known:
            message = f"{entry.table} has no column {column!r}: leave {rule} out"
            raise FeatureError(message)
    names = [_BORDER] if entry.border == "exclude" and _BORDER in known else []
    if entry.min_confidence is not None:
        names.append(_CONFIDENCE)
    if entry.where is not None:
        names += check_expression(entry.where)
    for name in names:
        if name not in known:
            message = f"where: {entry.table} has no column {name!r}; {suggestion(name, known)}"
            raise FeatureError(message)
    return list(dict.fromkeys(names))


def _refuse_no_number(column: str, kind: str) -> None:
    if _NUMBERS.fullmatch(kind):
        return
    if kind == "VARCHAR":
        message = (
            f"{column} is text and features are numbers: declare its values, "
            f"one_hot: {{{column}: [VALUE, …]}}"
        )
    else:
        message = f"{column} is {kind.lower()} and features are numbers"
    raise FeatureError(message)


def _unit(column: str) -> str | None:
    field = FIELDS.get(column)
    return None if field is None else field.unit
