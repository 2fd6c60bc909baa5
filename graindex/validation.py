"""Expectation suites, run by Great Expectations on the rows of one collection that are in doubt.

Out of scope: what is expected (`schemas.expectations`), which rows are beyond doubt
(`graindex.screening`), and who acts on it (asset checks).
"""

import functools
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from graindex.checking import SHOWN
from graindex.rows_in_sql import SqlRows, in_memory
from graindex.screening import is_of_all_rows, repeated_rows, rows_in_doubt, rules_in_doubt
from schemas.expectations import Expectation, suite
from schemas.table import Table

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
    )

_CHUNK = 200_000
"""Rows that Great Expectations is given at once: a few hundred MiB."""


@dataclass(frozen=True)
class Breach:
    """A rule that some rows break.

    Attributes:
        rule: the rule in words.
        failing: how many rows break it.
        keys: keys of such rows, the first thousand at most.
        values: their values, in the same order; empty for rules over several columns.
    """

    rule: str
    failing: int
    keys: tuple[str, ...]
    values: tuple[str, ...]


def validate(table: Table, rows: pa.Table) -> list[Breach]:
    """Run a table's suite; an empty list says that every row keeps every rule."""
    return run_suite(rows, suite(table), table.key)


def run_suite(rows: pa.Table, rules: Sequence[Expectation], key: Sequence[str]) -> list[Breach]:
    """Run rules over rows in memory."""
    return breaches(in_memory(rows), rules, key)


def breaches(rows: SqlRows, rules: Sequence[Expectation], key: Sequence[str]) -> list[Breach]:
    """The rules that rows break, in the order of the rules.

    Args:
        rows: the rows; they need not fit into memory unless most of them break rules.
        rules: over columns that the rows have.
        key: columns that name a row.
    """
    count, doubtful = rules_in_doubt(rows, rules)
    single = [rule for rule in doubtful if not is_of_all_rows(rule)]
    found: dict[int, Breach] = {}
    if count and single:
        found |= judge(rows_in_doubt(rows, single, key), single, key)
    for rule in doubtful:
        if is_of_all_rows(rule):
            repeated = repeated_rows(rows, rule, key)
            found |= judge(repeated, [rule], key, chunk=repeated.num_rows)
    return [found[id(rule)] for rule in doubtful if id(rule) in found]


def judge(
    rows: pa.Table, rules: Sequence[Expectation], key: Sequence[str], chunk: int = _CHUNK
) -> dict[int, Breach]:
    """What Great Expectations says of every one of these rows: breaches by the rule's `id`."""
    places: dict[int, list[int]] = {id(rule): [] for rule in rules}
    failing = dict.fromkeys(places, 0)
    for start in range(0, rows.num_rows, chunk):
        # As numbers with a gap, whole numbers would become floating, and large ones equal.
        frame = rows.slice(start, chunk).to_pandas(integer_object_nulls=True)
        for rule, indices in zip(rules, _unexpected(frame, rules), strict=True):
            failing[id(rule)] += len(indices)
            room = SHOWN - len(places[id(rule)])
            places[id(rule)] += [start + place for place in sorted(indices)[:room]]
    return {
        id(rule): _breach(rule, failing[id(rule)], rows.take(places[id(rule)]), key)
        for rule in rules
        if failing[id(rule)]
    }


def expectation_results(
    frame: "pd.DataFrame", rules: Sequence[Expectation], result_format: str, name: str
) -> "ExpectationSuiteValidationResult":
    """What Great Expectations answers about a frame, with `meta["rule"]` the number of the rule."""
    batch = _batches().get_batch({"dataframe": frame})
    return batch.validate(
        expectation_suite(rules, name), result_format={"result_format": result_format}
    )


def expectation_suite(rules: Sequence[Expectation], name: str) -> "ExpectationSuite":
    """Rules as a suite of Great Expectations; `meta["rule"]` is the number of each."""
    gx = great_expectations()
    from great_expectations.expectations import registry  # noqa: PLC0415

    built = []
    for number, rule in enumerate(rules):
        arguments: dict[str, Any] = {**rule.arguments, "meta": {"rule": number}}
        built.append(registry.get_expectation_impl(rule.type)(**arguments))
    built_suite: ExpectationSuite = gx.ExpectationSuite(name=name, expectations=built)
    return built_suite


def _unexpected(frame: "pd.DataFrame", rules: Sequence[Expectation]) -> list[list[int]]:
    """Positions of the rows that break each rule."""
    outcome = expectation_results(frame, rules, "COMPLETE", "rows")
    # Results come grouped by column, not in the order of the suite.
    by_rule = {
        result.expectation_config.meta["rule"]: result
        for result in outcome.results
        if result.expectation_config is not None
    }
    return [
        []
        if by_rule[number].success
        else list(by_rule[number].result.get("unexpected_index_list") or [])
        for number in range(len(rules))
    ]


def great_expectations() -> "ModuleType":
    """Great Expectations, which tells nobody; three seconds to import, so only where needed."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    return importlib.import_module("great_expectations")


@functools.cache
def _batches() -> "BatchDefinition[Any]":
    """Where Great Expectations takes data frames from."""
    gx = great_expectations()
    from great_expectations.data_context.types.base import (  # noqa: PLC0415
        ProgressBarsConfig,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batches: BatchDefinition[Any] = asset.add_batch_definition_whole_dataframe("rows")
    return batches


def _breach(rule: Expectation, failing: int, shown: pa.Table, key: Sequence[str]) -> Breach:
    records = shown.to_pylist()
    keys = tuple(" ".join(str(row[name]) for name in key) for row in records)
    one = len(rule.columns) == 1
    values = tuple(str(row[rule.columns[0]]) for row in records) if one else ()
    return Breach(rule.title, failing, keys, values)
