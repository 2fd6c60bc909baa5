"""Whether a home's tables are those of the data dictionary: columns, types and units.

Out of scope: what the rows hold (`graindex.validation`).
"""

from collections.abc import Iterator

from graindex.checking import Problem
from graindex.rows_in_sql import Columns
from schemas.ddl import SQL_TYPES
from schemas.fields import Kind
from schemas.table import Table
from schemas.tables import TABLES

_OPEN_TYPES = (SQL_TYPES[Kind.NUMBER], SQL_TYPES[Kind.TEXT])
_ADVICE = (
    "Run `graindex init` for columns and units that are missing; a column of another type was made "
    "by something else: export its rows and make the home anew."
)


def schema_problems(table: str, have: Columns | None) -> list[Problem]:
    """Columns of a table of the lake that are not as declared.

    Args:
        table: its name.
        have: the columns that the home has; None where it has no such table.
    """
    if have is None:
        return [Problem("the table is there", 1, ((table, "missing"),), _ADVICE)]
    told = TABLES[table]
    rules = {
        "column is there": _missing(told, have),
        "type": _types(told, have),
        "unit": _units(told, have),
    }
    found = {rule: tuple(lines) for rule, lines in rules.items()}
    return [Problem(rule, len(lines), lines, _ADVICE) for rule, lines in found.items() if lines]


def _missing(table: Table, have: Columns) -> Iterator[tuple[str, str]]:
    return ((name, "missing") for name in table.columns if name not in have)


def _types(table: Table, have: Columns) -> Iterator[tuple[str, str]]:
    declared = {field.name: (SQL_TYPES[field.kind],) for field in table.fields}
    for name, column in have.items():
        wanted = declared.get(name, _OPEN_TYPES if table.is_open else (column.sql_type,))
        if column.sql_type not in wanted:
            yield name, f"{column.sql_type} instead of {' or '.join(wanted)}"


def _units(table: Table, have: Columns) -> Iterator[tuple[str, str]]:
    for field in table.fields:
        found = _unit(have[field.name].comment) if field.name in have else field.unit
        if found != field.unit:
            yield field.name, f"{found} instead of {field.unit}"


def _unit(comment: str) -> str | None:
    """The unit at the end of a comment, which `schemas.arrow.describe` puts there."""
    before, bracket, after = comment.rpartition("[")
    return after.removesuffix("]") if bracket and after.endswith("]") and before else None
