"""Everything that the lake holds at any snapshot: its Parquet files, and rows in the metadata.

Tables and columns are those of DuckLake's specification, version 1.0.
Out of scope: changing any (`graindex.forget.erasing`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from graindex.ducklake import CATALOG, attach, retrying
from graindex.errors import HomeError
from graindex.forget.marks import Columns
from graindex.location import Location
from schemas.ddl import literal, quote

METADATA = f"__ducklake_metadata_{CATALOG}"
FORMAT = "1.0"
OWN_COLUMNS = ("row_id", "begin_snapshot", "end_snapshot")
"""What the metadata add to rows that they hold."""

_HIDDEN = "_ducklake_internal_"


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A Parquet file of rows, or of the places of deleted rows.

    Attributes:
        number: its key in the metadata.
        table: table of the lake.
        table_id: key of the table in the metadata.
        path: where it lies.
        begin: first snapshot that shows it.
        end: first snapshot that does not any more.
        of_file: number of the file whose rows are deleted; None for a file of rows.
    """

    number: int
    table: str
    table_id: int
    path: Path
    begin: int
    end: int | None
    of_file: int | None = None


class LakeFiles:
    """A connection of its own to the metadata of a lake in a folder.

    What is there is listed once, until `look_again`.
    """

    def __init__(self, location: Location) -> None:
        if location.folder is None or not location.catalog.startswith("sqlite:"):
            message = (
                f"home {location.home!r} is on servers: images can be withdrawn from a home in a "
                "folder only"
            )
            raise HomeError(message)
        self.folder = location.folder / "lake"
        self.connection = attach(location, read_only=False)
        (version,) = self.column(
            f"SELECT value FROM {METADATA}.ducklake_metadata WHERE key = 'version'"
        )
        if version != FORMAT:
            self.connection.close()
            message = f"home {location.home!r} is of DuckLake {version}, not {FORMAT}: upgrade"
            raise HomeError(message)

    def __enter__(self) -> "LakeFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query written by us."""
        return retrying(lambda: self.connection.execute(sql).fetchall())

    def column(self, sql: str) -> list[Any]:
        """The only column of a query written by us."""
        return [value for (value,) in self.rows(sql)]

    def look_again(self) -> None:
        """List anew what is there."""
        for name in ("tables", "data_files", "delete_files", "inlined", "metadata_columns"):
            self.__dict__.pop(name, None)

    @cached_property
    def tables(self) -> dict[str, int]:
        """Keys of the tables by name."""
        found = self.rows(
            f"SELECT table_name, table_id FROM {METADATA}.ducklake_table WHERE end_snapshot IS NULL"
        )
        return dict(found)

    @cached_property
    def data_files(self) -> list[LakeFile]:
        """Files of rows of all snapshots."""
        return self._files("data_file", "data_file_id", "NULL")

    @cached_property
    def delete_files(self) -> list[LakeFile]:
        """Files of places of deleted rows of all snapshots."""
        return self._files("delete_file", "delete_file_id", "f.data_file_id")

    def _files(self, kind: str, key: str, of_file: str) -> list[LakeFile]:
        found = self.rows(
            f"""
            SELECT f.{key}, t.table_name, f.table_id, s.path, t.path, f.path, f.path_is_relative,
                   f.begin_snapshot, f.end_snapshot, {of_file}
            FROM {METADATA}.ducklake_{kind} f
            JOIN {METADATA}.ducklake_table t ON t.table_id = f.table_id
            JOIN {METADATA}.ducklake_schema s ON s.schema_id = t.schema_id
            WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL
            ORDER BY ALL
            """
        )
        return [
            LakeFile(
                number, table, table_id, self._path(schema, own, path, relative), begin, end, owner
            )
            for number, table, table_id, schema, own, path, relative, begin, end, owner in found
        ]

    def _path(self, schema: str, table: str, path: str, relative: int) -> Path:
        return self.folder / schema / table / path if relative else Path(path)

    @cached_property
    def metadata_columns(self) -> dict[str, dict[str, str]]:
        """Types of the columns of each table of the metadata."""
        found: dict[str, dict[str, str]] = {}
        asked = (
            "SELECT m.name AS t, c.name AS n, c.type AS k "
            "FROM sqlite_master m, pragma_table_info(m.name) c"
        )
        for table, name, kind in self.rows(
            f"FROM sqlite_query({literal(METADATA)}, {literal(asked)})"
        ):
            found.setdefault(table, {})[name] = kind
        return found

    @cached_property
    def inlined(self) -> list[tuple[str, str]]:
        """Tables of the metadata that hold rows, each with the table of the lake."""
        names = {number: name for name, number in self.tables.items()}
        found = self.rows(
            f"SELECT table_id, table_name FROM {METADATA}.ducklake_inlined_data_tables"
        )
        listed = [(names[number], inlined) for number, inlined in found if number in names]
        counts = " UNION ALL ".join(
            f"SELECT {literal(inlined)} WHERE EXISTS (FROM {METADATA}.{quote(inlined)})"
            for _, inlined in listed
        )
        filled = set(self.column(counts)) if listed else set()
        return [(table, inlined) for table, inlined in listed if inlined in filled]

    def inlined_columns(self, inlined: str) -> Columns:
        """Types of the columns of a table of `inlined`, without those that the metadata add."""
        there = self.metadata_columns[inlined]
        return {name: kind for name, kind in there.items() if name not in OWN_COLUMNS}

    def columns(self, source: str) -> Columns:
        """Types of the columns of a relation of Parquet files, without hidden ones."""
        described = self.rows(f"DESCRIBE FROM {source}")
        added = ("filename", "file_row_number")
        return {
            name: kind
            for name, kind, *_ in described
            if name not in added and not name.startswith(_HIDDEN)
        }

    def unnamed(self) -> Iterator[Path]:
        """Parquet files that no snapshot shows: replaced ones, and those of killed writers."""
        named = {file.path for file in (*self.data_files, *self.delete_files)}
        yield from (path for path in sorted(self.folder.rglob("*.parquet")) if path not in named)

    def sources(self, table: str) -> Iterator[tuple[str, Columns]]:
        """Relations that together hold every row that a table has at any snapshot."""
        files = [file for file in self.data_files if file.table == table]
        if files:
            source = parquet([file.path for file in files])
            yield source, self.columns(source)
        for name, inlined in self.inlined:
            if name == table:
                yield f"{METADATA}.{quote(inlined)}", self.inlined_columns(inlined)

    def select(self, table: str, columns: Sequence[str], condition: str) -> list[tuple[Any, ...]]:
        """Distinct rows of a table over all snapshots; columns that old rows lack are null.

        Args:
            table: the table.
            columns: their columns.
            condition: SQL over these columns.
        """
        queries = []
        for source, there in self.sources(table):
            asked = ", ".join(
                quote(name) if name in there else f"NULL AS {quote(name)}" for name in columns
            )
            queries.append(f"SELECT {asked} FROM {source}")
        if not queries:
            return []
        union = " UNION ".join(queries)
        sql = f"SELECT DISTINCT * FROM ({union}) WHERE {condition} ORDER BY ALL"
        return self.rows(sql)


def parquet(paths: Sequence[Path] | Sequence[str]) -> str:
    """SQL of the rows of Parquet files, with the columns `filename` and `file_row_number`."""
    listed = ", ".join(literal(str(path)) for path in paths)
    return (
        f"read_parquet([{listed}], filename = true, file_row_number = true, union_by_name = true)"
    )
