"""What a table is: columns, key, what is never null, and where its columns come from.

Out of scope: the tables themselves (`schemas.tables`, `schemas.particle_tables`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.fields import FIELDS, Field


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
