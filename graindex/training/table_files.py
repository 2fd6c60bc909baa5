"""Tables as Parquet files whose bytes follow from their values alone.

Out of scope: which tables.
"""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from graindex.errors import InputError
from schemas.fields import FIELDS

_ROWS_PER_GROUP = 1 << 14


def parquet_bytes(rows: pa.Table, notes: Mapping[str, str] | None = None) -> bytes:
    """A Parquet file: the same bytes for the same rows, however Arrow holds them.

    Meaning and unit of each column of the dictionary are in the metadata of its field.

    Args:
        rows: the table; texts in dictionaries become plain.
        notes: metadata of the file.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        _canonical(rows).replace_schema_metadata(dict(notes or {})),
        sink,
        row_group_size=_ROWS_PER_GROUP,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=False,
        write_statistics=True,
        coerce_timestamps="us",
        write_page_index=False,
    )
    return bytes(sink.getvalue())


def _canonical(rows: pa.Table) -> pa.Table:
    """The rows in one chunk a column, without dictionaries, described."""
    fields, columns = [], []
    for field, column in zip(rows.schema, rows.columns, strict=True):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        fields.append(pa.field(field.name, kind, metadata=field.metadata or _described(field.name)))
        chunks = [chunk.cast(kind) for chunk in column.chunks]
        # A sliced or chunked column is copied, so that pages break where they always break.
        columns.append(pa.concat_arrays(chunks) if chunks else pa.array([], kind))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _described(name: str) -> dict[str, str] | None:
    field = FIELDS.get(name)
    if field is None:
        return None
    return {"description": field.description} | ({"unit": field.unit} if field.unit else {})


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        InputError: it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder} cannot be made a folder: {error.strerror or error}"
        raise InputError(message) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise InputError(message) from error
    finally:
        with suppress(OSError):  # as where a file stands for a folder
            aside.unlink(missing_ok=True)
