"""Which rows may break which rules, by SQL: it clears only what Great Expectations would pass.

Great Expectations takes whole data frames: 2 GiB for a million rows of `particles_3d`, and seconds
to be imported where every row is clean. The screen asks DuckDB the same, five times as fast and
without loading a row, and leaves the rows in doubt for Great Expectations to judge.
Out of scope: the judgement (`graindex.validation`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from graindex.rows_in_sql import Columns, SqlRows
from schemas.ddl import literal, quote
from schemas.expectations import Expectation

_OF_ALL_ROWS = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")


def is_of_all_rows(rule: Expectation) -> bool:
    """Whether a rule compares rows with each other."""
    return rule.type in _OF_ALL_ROWS


def rules_in_doubt(rows: SqlRows, rules: Sequence[Expectation]) -> tuple[int, list[Expectation]]:
    """Number of rows, and the rules that some rows may break."""
    counts = [
        _repeats(rows, rule) if is_of_all_rows(rule) else f"count_if({_doubt(rule, rows.columns)})"
        for rule in rules
    ]
    asked = ", ".join(f"{count} AS r{i}" for i, count in enumerate(counts))
    (found,) = rows.ask(f"SELECT count(*) AS n, {asked} FROM {rows.relation}").to_pylist()
    return int(found["n"]), [rule for i, rule in enumerate(rules) if found[f"r{i}"]]


def rows_in_doubt(rows: SqlRows, rules: Sequence[Expectation], key: Sequence[str]) -> pa.Table:
    """The columns of rules over single values, and the key, of rows that may break one of them."""
    doubt = " OR ".join(_doubt(rule, rows.columns) for rule in rules)
    return _fetch(rows, rules, key, f"{rows.relation} WHERE {doubt}")


def repeated_rows(rows: SqlRows, rule: Expectation, key: Sequence[str]) -> pa.Table:
    """Every row that shares the columns of a rule with another row."""
    names = _names(rule.columns)
    counted = f"SELECT *, count(*) OVER (PARTITION BY {names}) AS in_group FROM {rows.relation}"
    return _fetch(rows, [rule], key, f"({counted}) WHERE in_group > 1")


def _fetch(rows: SqlRows, rules: Sequence[Expectation], key: Sequence[str], of: str) -> pa.Table:
    names = dict.fromkeys([*key, *(name for rule in rules for name in rule.columns)])
    return rows.ask(f"SELECT {_names(names)} FROM {of} ORDER BY {_names(key)}")


def _repeats(rows: SqlRows, rule: Expectation) -> str:
    """SQL that counts keys that stand more than once."""
    groups = f"SELECT 1 FROM {rows.relation} GROUP BY {_names(rule.columns)} HAVING count(*) > 1"
    return f"(SELECT count(*) FROM ({groups}))"


def _names(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(quote(name) for name in names)


def _doubt(rule: Expectation, columns: Columns) -> str:
    """SQL that is true for rows that may break a rule over single values; never null."""
    condition = _KEPT.get(rule.type)
    if condition is None:
        return "true"
    name = rule.columns[0]
    kept = condition(quote(name), rule.arguments, columns[name].sql_type)
    return f"NOT coalesce({kept}, false)"


Arguments = Mapping[str, Any]
_PLAIN = r"\^|\$|[A-Za-z0-9_-]|\[[A-Za-z0-9_.-]+\]|\((?!\?)|\)|\|"
_TIMES = r"[?*+]|\{\d+(?:,\d*)?\}"
_FLOATING = ("DOUBLE", "FLOAT")
_WHOLE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT")


def _present(column: str, _: Arguments, kind: str) -> str:
    # Not-a-number is as good as null in a data frame.
    number = f" AND NOT isnan({column})" if kind in _FLOATING else ""
    return f"{column} IS NOT NULL{number}"


def _in_set(column: str, arguments: Arguments, kind: str) -> str:
    if kind != "VARCHAR":
        return "false"
    values = ", ".join(literal(value) for value in arguments["value_set"])
    return f"{column} IS NULL OR {column} IN ({values})"


def _matches(column: str, arguments: Arguments, kind: str) -> str:
    pattern = arguments["regex"]
    if kind != "VARCHAR" or not is_plain(pattern):
        return "false"
    return f"{column} IS NULL OR regexp_matches({column}, {literal(pattern)})"


def is_plain(pattern: str) -> bool:
    """Whether DuckDB finds a pattern nowhere where Python does not.

    They differ over what dots, classes such as that of words, and negated sets stand for; anchors,
    sets of ASCII letters and digits, and repetitions mean the same to both.
    """
    return re.fullmatch(f"(?:(?:{_PLAIN})(?:{_TIMES})?)*", pattern) is not None


def _between(column: str, arguments: Arguments, kind: str) -> str:
    if kind not in _FLOATING and kind not in _WHOLE:
        return "false"
    above = ">" if arguments.get("strict_min") else ">="
    below = "<" if arguments.get("strict_max") else "<="
    sides = ((above, arguments.get("min_value")), (below, arguments.get("max_value")))
    inside = [
        f"{column} {sign} {_number(bound, kind)}" for sign, bound in sides if bound is not None
    ]
    return f"{column} IS NULL OR ({' AND '.join(inside)})"


def _number(bound: float, kind: str) -> str:
    """A bound that is compared without rounding what is in the column."""
    exact = kind in _WHOLE and float(bound).is_integer()
    return f"{int(bound)}" if exact else f"{bound!r}::DOUBLE"


_KEPT: dict[str, Callable[[str, Arguments, str], str]] = {
    "expect_column_values_to_not_be_null": _present,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_values_to_be_between": _between,
}
"""SQL that is true where a value keeps the rule beyond doubt, by type of rule."""
