"""Expectation suites, run by Great Expectations on the rows of one collection.

Out of scope: what is expected (`schemas.expectations`) and who acts on it (asset checks).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from schemas.expectations import Expectation, suite
from schemas.table import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Breach:
    """A rule that some rows break.

    Attributes:
        rule: the rule in words.
        failing: how many rows break it.
        keys: keys of such rows, the first hundred at most.
        values: their values, in the same order; empty for rules over several columns.
    """

    rule: str
    failing: int
    keys: tuple[str, ...]
    values: tuple[str, ...]


_SHOWN = 100


def validate(table: Table, rows: pa.Table) -> list[Breach]:
    """Run a table's suite; an empty list says that every row keeps every rule."""
    return run_suite(rows, suite(table), table.key)


def run_suite(rows: pa.Table, rules: Sequence[Expectation], key: Sequence[str]) -> list[Breach]:
    """Run rules over rows; only the columns that rules look at are converted."""
    if not rules or not rows.num_rows:
        return []
    names = sorted({name for rule in rules for name in rule.columns} | set(key))
    frame = rows.select(names).to_pandas()
    results = _validate_frame(frame, rules)
    return [
        _breach(rule, list(indices), frame, key)
        for rule, (passed, indices) in zip(rules, results, strict=True)
        if not passed
    ]


def _validate_frame(
    frame: "pd.DataFrame", rules: Sequence[Expectation]
) -> list[tuple[bool, list[int]]]:
    """Whether each rule holds, and the positions of rows that break it."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # Three seconds to import, so only where a suite runs.
    import great_expectations as gx  # noqa: PLC0415
    from great_expectations.data_context.types.base import (  # noqa: PLC0415
        ProgressBarsConfig,
    )
    from great_expectations.expectations import registry  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("rows")
    asset = source.add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": frame})
    built = []
    for number, rule in enumerate(rules):
        arguments: dict[str, Any] = {**rule.arguments, "meta": {"rule": number}}
        built.append(registry.get_expectation_impl(rule.type)(**arguments))
    expectations = gx.ExpectationSuite(name="rows", expectations=built)
    outcome = batch.validate(expectations, result_format={"result_format": "COMPLETE"})
    # Results come grouped by column, not in the order of the suite.
    by_rule = {
        result.expectation_config.meta["rule"]: result
        for result in outcome.results
        if result.expectation_config is not None
    }
    return [
        (
            bool(by_rule[number].success),
            list(by_rule[number].result.get("unexpected_index_list") or []),
        )
        for number in range(len(rules))
    ]


def _breach(
    rule: Expectation, indices: list[int], frame: "pd.DataFrame", key: Sequence[str]
) -> Breach:
    shown = frame.iloc[indices[:_SHOWN]]
    keys = tuple(" ".join(str(value) for value in row) for row in shown[list(key)].to_numpy())
    one = len(rule.columns) == 1
    values = tuple(str(value) for value in shown[rule.columns[0]]) if one else ()
    return Breach(rule.title, len(indices), keys, values)
