"""What gives the rows of a withdrawn image away: keys, contents, and texts that mention them.

Out of scope: where the rows lie (`graindex.forget.lake_files`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from schemas.ddl import literal, quote
from schemas.table import Table
from schemas.tables import TABLES

SPARED = frozenset({"withdrawals", "withdrawal_effects", "withdrawn_rows"})
"""Tables that say what was withdrawn."""

HEX_WORD = "[0-9a-f]{16,}"
_KEYS = "temp.doomed_keys"

Columns = Mapping[str, str]
"""Types by column."""


@dataclass(frozen=True)
class Marks:
    """How rows of what is withdrawn are told from all others.

    Attributes:
        dataset: the collection.
        keys: ids of the images or volumes, their particles and statements on them.
        contents: hashes of their files; other collections may hold the same files.
        replacements: texts that stand in rows of something else, with what takes their place.
    """

    dataset: str
    keys: frozenset[str]
    contents: frozenset[str] = frozenset()
    replacements: Mapping[str, str] = field(default_factory=dict)

    def register(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Make the keys known to a connection, for `doomed`."""
        cursor.register("keys_given", pa.table({"key": pa.array(sorted(self.keys), pa.string())}))
        cursor.execute("CREATE OR REPLACE TEMP TABLE doomed_keys AS FROM keys_given")
        cursor.unregister("keys_given")

    def doomed(self, table: str, columns: Columns) -> str:
        """SQL that is true for rows of what is withdrawn; never null."""
        if table in SPARED:
            return "false"
        return _any(self._conditions(TABLES.get(table), columns))

    def _conditions(self, table: Table | None, columns: Columns) -> Iterator[str]:
        for name in texts(columns):
            yield f"{quote(name)} IN (FROM {_KEYS})"
            if self.contents and "dataset" in columns:
                among = ", ".join(map(literal, sorted(self.contents)))
                yield f"dataset = {literal(self.dataset)} AND {quote(name)} IN ({among})"
        for name in composed(table) if table else ():
            if name in columns:
                words = f"regexp_extract_all({quote(name)}, '{HEX_WORD}')"
                yield f"list_has_any({words}, (SELECT list(key) FROM {_KEYS}))"

    def mentioned(self, table: str, columns: Columns) -> str:
        """SQL that is true for rows whose texts `cleaned` changes; never null."""
        if table in SPARED:
            return "false"
        return _any(
            f"contains({quote(name)}, {literal(old)})"
            for name in texts(columns)
            for old in self.replacements
        )

    def cleaned(self, columns: Columns) -> dict[str, str]:
        """SQL of each text column with the replacements made."""
        found = {}
        for name in texts(columns):
            told = quote(name)
            for old in sorted(self.replacements, key=len, reverse=True):
                told = f"replace({told}, {literal(old)}, {literal(self.replacements[old])})"
            found[name] = told
        return found


def composed(table: Table) -> list[str]:
    """Columns that name a row of another table by all parts of its key."""
    return [
        field.name
        for field in table.fields
        if field.name in table.key and field.name.endswith("_id") and field.pattern is None
    ]


def texts(columns: Columns) -> Sequence[str]:
    """Names of the columns of text."""
    return [name for name, kind in columns.items() if kind == "VARCHAR"]


def _any(conditions: Iterator[str]) -> str:
    return " OR ".join(f"coalesce({one}, false)" for one in conditions) or "false"
