"""Features as a matrix of numbers, a vector's numbers side by side.

Out of scope: scaling and selection (`graindex.features.fitting`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex.errors import FeatureError
from graindex.suggestions import suggestion


@dataclass(frozen=True, slots=True)
class Column:
    """A feature in a table.

    Attributes:
        name: its name.
        width: length of a vector; None for a number.
    """

    name: str
    width: int | None

    @property
    def names(self) -> list[str]:
        """Names of its numbers."""
        if self.width is None:
            return [self.name]
        return [f"{self.name}[{place}]" for place in range(self.width)]


def columns_of(table: pa.Table) -> tuple[Column, ...]:
    """Features of a table, in order."""
    return tuple(Column(field.name, _width(field.type)) for field in table.schema)


def feature_matrix(
    table: pa.Table, columns: tuple[Column, ...] | None = None
) -> npt.NDArray[np.float64]:
    """(N, D) numbers of features; NaN where one is missing.

    Args:
        table: features as `FeatureValues.columns`.
        columns: which, in order; all when None.

    Raises:
        FeatureError: one is absent, or of another length.
    """
    wanted = columns_of(table) if columns is None else columns
    matrix = np.empty((table.num_rows, sum(column.width or 1 for column in wanted)))
    start = 0
    for column in wanted:
        if column.name not in table.column_names:
            message = f"no feature {column.name!r}; {suggestion(column.name, table.column_names)}"
            raise FeatureError(message)
        width = _width(table.schema.field(column.name).type)
        if width != column.width:
            message = f"feature {column.name!r} holds {_kind(width)}, not {_kind(column.width)}"
            raise FeatureError(message)
        end = start + (width or 1)
        matrix[:, start:end] = _numbers(table[column.name], width)
        start = end
    return matrix


def _kind(width: int | None) -> str:
    return "a number" if width is None else f"a vector of {width}"


def _width(kind: pa.DataType) -> int | None:
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else None


def _numbers(values: pa.ChunkedArray, width: int | None) -> npt.NDArray[np.float64]:
    whole = values.combine_chunks()
    if width is None:
        numbers = np.asarray(whole.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        return numbers[:, None]
    block = np.full((len(whole), width), np.nan)
    present = whole.is_valid().to_numpy(zero_copy_only=False)
    # Flattened, a list that is null leaves no numbers.
    block[present] = whole.flatten().to_numpy().reshape(-1, width)
    return block
