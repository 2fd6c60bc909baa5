"""The checks that every asset has, made from the data dictionary and the recipe.

Out of scope: science (`graindex.check_list`), and how a suite runs (`graindex.validation`).
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from graindex.check_results import VOLUME_OF_ROWS, dropped_rows
from graindex.checking import Check, Problem
from graindex.freshness import stale_rows
from graindex.references import dangling
from graindex.rows_in_sql import Column, SqlRows, lake_columns, of_collection, of_store, of_vectors
from graindex.schema_checks import schema_problems
from graindex.store import Store
from graindex.validation import breaches
from schemas.expectations import suite
from schemas.table import Table
from schemas.tables import COMPANIONS, TABLES

_COUNTED = frozenset({"micrographs", "volumes", "particles_2d", "particles_3d"})
"""Assets whose number of rows nothing else foretells."""


def generated_checks(asset: str) -> tuple[Check, ...]:
    """What must hold of any asset: its dictionary, its freshness and, of some, their size."""
    dictionary = Check(
        asset,
        "dictionary",
        functools.partial(dictionary_problems, asset),
        "Columns, types, units, presence, bounds, admissible values, unique keys and references "
        "are those of the data dictionary.",
        "Correct the value where it comes from (file, sidecar, samples table, recipe), then run "
        "`graindex materialize`.",
        blocking=True,
    )
    fresh = Check(
        asset,
        "up_to_date",
        functools.partial(stale_rows, asset),
        "No row is of older inputs, settings or code, and no collection older than it may be.",
        "Run `graindex materialize`; where files are due, add them or raise `max_age_days` under "
        "`checks` in the recipe.",
    )
    count = Check(
        asset,
        VOLUME_OF_ROWS,
        functools.partial(dropped_rows, asset),
        "No more rows are gone than the recipe allows.",
        "Bring back what is gone, or accept what there is: `graindex check --accept-counts`.",
    )
    return (dictionary, fresh, count) if asset in _COUNTED else (dictionary, fresh)


def dictionary_problems(asset: str, store: Store, dataset: str) -> Sequence[Problem]:
    """What of a collection breaks the dictionary, in an asset's table and those written with it."""
    columns = lake_columns(store)
    return [
        problem if table == asset else replace(problem, rule=f"{table}: {problem.rule}")
        for table in (asset, *COMPANIONS.get(asset, ()))
        for problem in _of_table(store, table, dataset, columns)
    ]


def store_problems(store: Store) -> list[tuple[str, Problem]]:
    """What breaks the dictionary in tables of the store as a whole, by table."""
    columns = lake_columns(store)
    told = {name for names in COMPANIONS.values() for name in names}
    names = [table.name for table in TABLES.values() if table.of_store and table.name not in told]
    return [(name, problem) for name in names for problem in _of_table(store, name, None, columns)]


def _of_table(
    store: Store, table: str, dataset: str | None, columns: Mapping[str, Mapping[str, Column]]
) -> list[Problem]:
    if TABLES[table].in_lance and dataset is not None:
        first, *further = store.encoders
        return _suite_problems(of_vectors(store, first, dataset), TABLES[table]) + [
            replace(problem, rule=f"{name}: {problem.rule}")
            for name in further
            for problem in _suite_problems(of_vectors(store, name, dataset), TABLES[table])
        ]
    have = columns.get(table)
    if have is None:
        return schema_problems(table, None)
    rows = (
        of_store(store, table, have)
        if dataset is None
        else of_collection(store, table, dataset, have)
    )
    return [
        *schema_problems(table, have),
        *_suite_problems(rows, TABLES[table]),
        *dangling(store, table, rows, dataset),
    ]


def _suite_problems(rows: SqlRows, table: Table) -> list[Problem]:
    # Columns that the home lacks are named as such.
    rules = [rule for rule in suite(table) if set(rule.columns) <= rows.columns.keys()]
    return [
        Problem(
            breach.rule,
            breach.failing,
            tuple(zip(breach.keys, breach.values or breach.keys, strict=True)),
        )
        for breach in breaches(rows, rules, table.key)
    ]
