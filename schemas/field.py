"""What a column is: kind, unit, meaning, bounds; and short ways to write one down.

Out of scope: the columns themselves (`schemas.fields`, `schemas.particle_fields`).
"""

from dataclasses import dataclass
from enum import StrEnum

HEX_ID = r"^[0-9a-f]{16}$"
HEX_SHA256 = r"^[0-9a-f]{64}$"


class Kind(StrEnum):
    """What a column holds; each renders to one Arrow, one SQL and one Dagster type."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LOCAL_TIME = "local time"
    """Wall-clock time without a zone, as instruments print it."""
    INSTANT = "instant"
    """A moment in UTC."""
    VECTOR = "vector"
    """A fixed number of 32-bit floats."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes:
        name: column name; ends in its unit where it has one.
        kind: what it holds.
        description: meaning, one sentence.
        unit: unit of the values; None for text, identifiers and flags; "1" for dimensionless.
        lower: smallest admissible value, in `unit`.
        upper: largest admissible value, in `unit`.
        exclusive_lower: whether `lower` itself is inadmissible.
        values: admissible texts, where the set is closed.
        pattern: regular expression that a text matches.
        formula: how the number is computed.
        source: paper, standard or manual that defines it.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    lower: float | None = None
    upper: float | None = None
    exclusive_lower: bool = False
    values: tuple[str, ...] = ()
    pattern: str | None = None
    formula: str | None = None
    source: str | None = None


def text(name: str, description: str, **more: object) -> Field:
    """A column of text."""
    return Field(name, Kind.TEXT, description, **more)  # type: ignore[arg-type]


def number(name: str, unit: str, description: str, **more: object) -> Field:
    """A column of numbers in `unit`."""
    return Field(name, Kind.NUMBER, description, unit=unit, **more)  # type: ignore[arg-type]


def count(name: str, description: str, unit: str = "1", lower: float = 0) -> Field:
    """A column of whole numbers from `lower` up."""
    return Field(name, Kind.INTEGER, description, unit=unit, lower=lower)
