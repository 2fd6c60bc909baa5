"""Tables as Arrow schemas; units and meanings travel as field metadata.

Out of scope: reading and writing data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from schemas.fields import FIELDS, Field, Kind
from schemas.table import Table

_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.LOCAL_TIME: pa.timestamp("us"),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
}

# LanceDB needs this to keep concurrent merge-inserts from duplicating rows.
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}


def arrow_type(field: Field, dimension: int | None = None) -> pa.DataType:
    """Arrow type of a field; vectors need their `dimension`.

    Raises:
        ValueError: a vector without a dimension.
    """
    if field.kind is not Kind.VECTOR:
        return _TYPES[field.kind]
    if dimension is None:
        message = f"column {field.name!r} is a vector: state its dimension"
        raise ValueError(message)
    return pa.list_(pa.float32(), dimension)


def arrow_schema(table: Table, dimension: int | None = None) -> pa.Schema:
    """Arrow schema of a table's declared columns.

    Args:
        table: the table.
        dimension: length of its vectors, where it has some.
    """

    def column(field: Field) -> pa.Field:
        metadata = {"description": field.description}
        if field.unit is not None:
            metadata["unit"] = field.unit
        if table.in_lance and table.key == (field.name,):
            metadata |= _PRIMARY_KEY
        nullable = field.name not in table.never_null
        return pa.field(field.name, arrow_type(field, dimension), nullable, metadata)

    return pa.schema([column(field) for field in table.fields])


def empty(table: Table) -> pa.Table:
    """A table of no rows with every declared column in its right type."""
    return arrow_schema(table).empty_table()


def from_records(table: Table, records: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as an Arrow table with every declared column; open tables may bring more.

    Columns that a record lacks are null. Undeclared columns of an open table become numbers
    where every value is one, else text; without any value they have no type and are left out.

    Raises:
        ValueError: a column that neither the table declares nor openness allows.
    """
    schema = arrow_schema(table)
    extra = sorted({name for record in records for name in record} - set(table.columns))
    if extra and not table.is_open:
        message = f"table {table.name!r} has no column {extra[0]!r}"
        raise ValueError(message)
    for name in extra:
        present = [record[name] for record in records if record.get(name) is not None]
        if present:
            schema = schema.append(pa.field(name, _type_of(present)))
    columns = {name: [record.get(name) for record in records] for name in schema.names}
    return pa.table(columns, schema=schema)


def from_columns(table: Table, columns: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    """NumPy columns as an Arrow table with the declared columns; not-a-number becomes null.

    Columns that are not given are null; given ones that the table does not declare are left out.
    """
    schema = arrow_schema(table)
    rows = len(next(iter(columns.values()), ()))
    arrays = [
        pa.array(columns[field.name], field.type, from_pandas=True)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _type_of(present: Sequence[object]) -> pa.DataType:
    numbers = all(isinstance(value, int | float) for value in present)
    return pa.float64() if numbers else pa.string()


def describe(name: str) -> str:
    """Description of a column with its unit, for comments and schemas; "" for unknown columns."""
    field = FIELDS.get(name)
    if field is None:
        return ""
    return f"{field.description} [{field.unit}]" if field.unit else field.description
