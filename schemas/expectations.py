"""Tables as expectation suites: what must hold of every row, as plain data.

Out of scope: running them; Great Expectations does, through `graindex.validation`.
"""

from dataclasses import dataclass, field

from schemas.fields import Field, Kind
from schemas.table import Table


@dataclass(frozen=True)
class Expectation:
    """One rule.

    Attributes:
        type: name of the Great Expectations expectation.
        columns: the columns it looks at.
        arguments: keyword arguments of the expectation.
    """

    type: str
    columns: tuple[str, ...]
    arguments: dict[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The rule in words, for reports."""
        told = {k: v for k, v in self.arguments.items() if k not in {"column", "column_list"}}
        words = self.type.removeprefix("expect_").replace("_", " ")
        more = "".join(f", {name} {value}" for name, value in told.items())
        return f"{', '.join(self.columns)}: {words}{more}"


def suite(table: Table) -> list[Expectation]:
    """Every rule that the dictionary implies for `table`: presence, bounds, sets and keys."""
    rules = [
        Expectation("expect_column_values_to_not_be_null", (name,), {"column": name})
        for name in table.columns
        if name in table.never_null
    ]
    for column in table.fields:
        rules += _value_rules(column)
    return [*rules, _unique(table.key)]


def _value_rules(column: Field) -> list[Expectation]:
    name = column.name
    if column.values:
        arguments: dict[str, object] = {"column": name, "value_set": list(column.values)}
        return [Expectation("expect_column_values_to_be_in_set", (name,), arguments)]
    if column.pattern:
        arguments = {"column": name, "regex": column.pattern}
        return [Expectation("expect_column_values_to_match_regex", (name,), arguments)]
    numeric = column.kind in {Kind.NUMBER, Kind.INTEGER}
    if numeric and (column.lower is not None or column.upper is not None):
        bounds: dict[str, object] = {"column": name}
        if column.lower is not None:
            bounds["min_value"] = column.lower
        if column.upper is not None:
            bounds["max_value"] = column.upper
        if column.exclusive_lower:
            bounds["strict_min"] = True
        return [Expectation("expect_column_values_to_be_between", (name,), bounds)]
    return []


def _unique(key: tuple[str, ...]) -> Expectation:
    if len(key) == 1:
        return Expectation("expect_column_values_to_be_unique", key, {"column": key[0]})
    return Expectation("expect_compound_columns_to_be_unique", key, {"column_list": list(key)})
