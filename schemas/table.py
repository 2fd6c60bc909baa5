"""What a table is: columns, key, what is never null, and where its columns come from.

Out of scope: the tables themselves (`schemas.tables`, `schemas.particle_tables`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.fields import FIELDS, Field


@dataclass(frozen=True)
class Reference:
    """Columns that name a row of another table; where one of them is null, no row is named.

    Attributes:
        columns: the columns, in order.
        table: the other table.
        target: the columns there that hold the same values.
        when: column of the table itself and the value that it has where this holds; always if None.
    """

    columns: tuple[str, ...]
    table: str
    target: tuple[str, ...]
    when: tuple[str, str] | None = None


def in_collection(
    column: str, table: str, target: str | None = None, when: tuple[str, str] | None = None
) -> Reference:
    """A column that names a row of the same collection."""
    return Reference(("dataset", column), table, ("dataset", target or column), when)


def by_name(table: str, *columns: str) -> Reference:
    """Columns that are called the same where the row that they name lies."""
    return Reference(columns, table, columns)


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: table name.
        row: what one row stands for.
        columns: column names, in order; each is in `schemas.fields.FIELDS`.
        key: columns that together are unique and never null.
        required: further columns that are never null.
        lineage: for derived columns, the `table.column` each is computed from.
        references: columns that name rows of other tables.
        is_open: whether a collection may add columns of its own (labels of specimens).
        in_lance: whether the table lies in LanceDB rather than in the lake.
        of_store: whether rows belong to the store as a whole; those of the other tables belong to
            one collection each, which is replaced as a whole.
    """

    name: str
    row: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    lineage: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    references: tuple[Reference, ...] = ()
    is_open: bool = False
    in_lance: bool = False
    of_store: bool = False

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns' definitions, in order."""
        return tuple(FIELDS[name] for name in self.columns)

    @property
    def never_null(self) -> frozenset[str]:
        """Names of the columns that hold a value in every row."""
        return frozenset((*self.key, *self.required))
