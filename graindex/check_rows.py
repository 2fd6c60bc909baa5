"""What checks are made of: columns of the store as arrays, and rows that break a rule as problems.

Out of scope: the rules (`graindex.particle_checks`, `graindex.contact_checks`).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.checks import SHOWN, Problem
from graindex.store import Store

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ROUNDING = 1e-9
"""Relative difference of numbers that follow from each other."""


def read(store: Store, table: str, dataset: str, *columns: str) -> pa.Table:
    """Some columns of a collection's rows."""
    return store.lake.read(table, dataset, columns=columns)


def numbers(rows: pa.Table, column: str) -> Floats:
    """A column as float64; null is NaN."""
    return np.asarray(rows[column].to_numpy(), dtype=np.float64)


def of_parent(rows: pa.Table, parents: pa.Table, key: str, columns: Sequence[str]) -> Floats:
    """(N, C) numbers of each row's parent; NaN where they are null or there is no parent."""
    found = parents[key].combine_chunks()
    places = pc.index_in(rows[key].combine_chunks(), value_set=found)
    values = parents.select(columns).take(places)
    return np.stack([numbers(values, column) for column in columns], axis=1)


def problem(rule: str, rows: Iterable[tuple[str, str]]) -> list[Problem]:
    """The rule with these rows, each its key and what was found; nothing if there are none."""
    found = list(rows)
    return [Problem(rule, len(found), tuple(found[:SHOWN]))] if found else []


def where(rule: str, rows: pa.Table, wrong: Mask, key: str, *shown: str) -> list[Problem]:
    """The rule with the rows that are wrong: their key, and the columns that show it."""
    places = np.flatnonzero(wrong)
    if not len(places):
        return []
    told = rows.select([key, *dict.fromkeys(shown)]).take(places[:SHOWN]).to_pylist()
    names = dict.fromkeys(shown)
    lines = tuple(
        (str(row[key]), ", ".join(f"{name} {_word(row[name])}" for name in names)) for row in told
    )
    return [Problem(rule, len(places), lines)]


def above(rule: str, rows: pa.Table, key: str, column: str, bound: Floats) -> list[Problem]:
    """The rule with the rows whose column exceeds its bound; null does not."""
    return where(rule, rows, numbers(rows, column) > bound, key, column)


def unlike(rule: str, rows: pa.Table, key: str, column: str, wanted: Floats) -> list[Problem]:
    """The rule with the rows whose column is not what it follows from; NaN wants null."""
    have = numbers(rows, column)
    same = np.isclose(have, wanted, rtol=ROUNDING, atol=0, equal_nan=True)
    return where(rule, rows, ~same, key, column)


def one_to_one(store: Store, dataset: str, of: str, table: str, key: str) -> list[Problem]:
    """Rows of one table without a row in another, and the reverse."""
    wanted = set(read(store, of, dataset, key)[key].to_pylist())
    have = set(read(store, table, dataset, key)[key].to_pylist())
    return [
        *problem(f"{of} have {table}", ((one, "missing") for one in sorted(wanted - have))),
        *problem(f"{table} have {of}", ((one, "no row") for one in sorted(have - wanted))),
    ]


def counted(store: Store, dataset: str, of: str, table: str, key: str) -> list[Problem]:
    """Rows of `of` whose `particle_count` is not the number of their rows in `table`."""
    labelled = read(store, of, dataset, key, "particle_count").to_pylist()
    wanted: Mapping[str, int] = {row[key]: row["particle_count"] for row in labelled}
    counts = read(store, table, dataset, key)[key].value_counts().to_pylist()
    have: Mapping[str, int] = {row["values"]: row["counts"] for row in counts}
    return problem(
        f"as many rows of {table} as {of} counts",
        (
            (one, f"{have.get(one, 0)} rows of {wanted.get(one, 0)} particles")
            for one in sorted(wanted.keys() | have.keys())
            if have.get(one, 0) != wanted.get(one, 0)
        ),
    )


def sums(rows: pa.Table, key: str, column: str) -> dict[str, float]:
    """Sum of a column by key; keys without any value are left out."""
    totals = rows.group_by(key).aggregate([(column, "sum")]).to_pylist()
    return {row[key]: row[f"{column}_sum"] for row in totals if row[f"{column}_sum"] is not None}


def not_one(totals: Mapping[str, float]) -> Iterable[tuple[str, str]]:
    """Keys whose sum is not 1."""
    return (
        (key, f"sum {total:.12g}")
        for key, total in sorted(totals.items())
        if not abs(total - 1) <= ROUNDING
    )


def _word(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else "null" if value is None else str(value)
