"""What a feature is once planned: its name, where it comes from, its unit.

Out of scope: planning (`graindex.features.plan`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A column that a feature is computed from.

    Attributes:
        column: `table.column`.
        aggregation: statistic over parts; filter or weight for columns that decide which parts
            count; None where the value is taken as it is.
    """

    column: str
    aggregation: str | None


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a set.

    Attributes:
        name: its name.
        origins: columns that it is computed from, the one that is measured first.
        unit: unit of its values; None where it is not known.
        rule: all that decides its values beside the origins; equal for equal features.
        is_vector: whether it is a vector of numbers.
    """

    name: str
    origins: tuple[Origin, ...]
    unit: str | None
    rule: str
    is_vector: bool = False
