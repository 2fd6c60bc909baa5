"""Derived features: SQL expressions over the features of a set, which may use each other.

Out of scope: what an expression may hold (`graindex.features.expressions`).
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import pyarrow as pa

from graindex.errors import FeatureError, QueryError
from graindex.features.definition import FeatureSet
from graindex.features.expressions import check_expression
from graindex.features.feature import Feature
from graindex.features.reading import Reading
from graindex.suggestions import suggestion
from schemas.ddl import quote


def plan_derived(definition: FeatureSet, features: Sequence[Feature]) -> list[Feature]:
    """Derived features of a set, in the order of their declaration.

    Args:
        definition: the set.
        features: its other features.

    Raises:
        FeatureError: an expression names no feature, or needs itself.
    """
    owner = f"feature set {definition.name!r}"
    numbers = {one.name.lower(): one for one in features if not one.is_vector}
    taken = {one.name.lower() for one in features}
    for name in definition.derived:
        if name.lower() in taken:
            message = f"{owner}: two features are called {name!r}; rename the derived one"
            raise FeatureError(message)
        taken.add(name.lower())
    made = dict(numbers)
    spelt = {name.lower(): name for name in definition.derived}
    for name in _order(definition):
        expression = definition.derived[name]
        used = []
        for column in check_expression(expression):
            if column.lower() not in made:
                known = [*(one.name for one in numbers.values()), *spelt.values()]
                message = (
                    f"{owner}: derived {name!r} uses {column!r}, which is no feature of the set "
                    f"that is a number; {suggestion(column, set(known) - {name})}"
                )
                raise FeatureError(message)
            used.append(made[column.lower()])
        origins = {origin.column: origin for one in used for origin in one.origins}
        rule = f"{expression} of {[one.rule for one in used]}"
        made[name.lower()] = Feature(name, tuple(origins.values()), None, rule)
    return [made[name.lower()] for name in definition.derived]


def derived_values(
    reading: Reading, definition: FeatureSet, columns: Mapping[str, pa.Array]
) -> dict[str, pa.Array]:
    """Values of derived features; where an expression has none, or none that is finite, missing.

    Args:
        reading: a connection.
        definition: the set.
        columns: values of its other features, row by row.

    Raises:
        FeatureError: DuckDB refuses an expression.
    """
    if not definition.derived:
        return {}
    numbers = {name: array for name, array in columns.items() if pa.types.is_floating(array.type)}
    position = pa.array(range(len(next(iter(columns.values())))))
    reading.register("derived_from", pa.table({**numbers, " position": position}))
    query = "FROM derived_from"
    for name in _order(definition):
        value = f"TRY(CAST(({definition.derived[name]}\n) AS DOUBLE))"
        query = f'SELECT *, {value} AS "{name}" FROM ({query})'
        query = (
            f'SELECT * REPLACE (CASE WHEN isfinite("{name}") THEN "{name}" END AS "{name}") '
            f"FROM ({query})"
        )
    wanted = ", ".join(quote(name) for name in definition.derived)
    try:
        rows = reading.query(f'SELECT {wanted} FROM ({query}) ORDER BY " position"')
    except QueryError as error:
        raise FeatureError(f"feature set {definition.name!r}: derived: {error}") from error
    return {name: rows[name].combine_chunks() for name in definition.derived}


def _order(definition: FeatureSet) -> list[str]:
    """Names of derived features such that each comes after those that it uses.

    Raises:
        FeatureError: they need each other.
    """
    spelt = {name.lower(): name for name in definition.derived}
    uses = {
        name: sorted(
            {spelt[column.lower()] for column in check_expression(text) if column.lower() in spelt}
        )
        for name, text in definition.derived.items()
    }
    try:
        return list(TopologicalSorter(uses).static_order())
    except CycleError as error:
        path = " -> ".join(reversed(error.args[1]))
        message = f"feature set {definition.name!r}: derived features need each other: {path}"
        raise FeatureError(message) from error
