"""Hashes of tables that depend on names, types and values only, never on how Arrow holds them.

Out of scope: which columns a training set has (`graindex.training.training_set`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.files import sha256

_FORMAT = "1"
"""Raise when equal rows come to other hashes: every stored fingerprint then differs."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Column:
    """One column in its canonical form.

    Attributes:
        header: name and type.
        cells: (N, W) bytes of every value, the first of them whether there is one; W is 1 for
            texts.
        texts: UTF-8 of every value of a column of texts; empty for others.
    """

    header: str
    cells: Bytes
    texts: tuple[bytes, ...] = ()

    def digest(self) -> str:
        words = (b"%d:%b" % (len(word), word) for word in self.texts)
        return sha256(self.header, self.cells.tobytes(), b"".join(words))


def fingerprint(columns: pa.Table, *context: str) -> str:
    """SHA-256 over the names, types and values of all rows, in their order.

    Equal tables have equal fingerprints whatever their chunks, dictionaries, width of integers and
    of offsets, or metadata; negative zero is zero, and all not-a-numbers are one. Null is not
    not-a-number.

    Args:
        columns: numbers, flags, times, texts and vectors (fixed-size lists of floats).
        context: what else the fingerprint is of.

    Raises:
        TypeError: a column of another type.
    """
    return sha256(_FORMAT, *context, *(column.digest() for column in _canonical(columns)))


def column_digests(columns: pa.Table) -> dict[str, str]:
    """SHA-256 of every column by its name; see `fingerprint`.

    Raises:
        TypeError: a column that is neither of numbers, flags, times, texts nor vectors.
    """
    found = _canonical(columns)
    return {name: column.digest() for name, column in zip(columns.column_names, found, strict=True)}


def row_hashes(columns: pa.Table) -> list[str]:
    """SHA-256 of every row, names and types of the columns included; see `fingerprint`.

    Raises:
        TypeError: a column that is neither of numbers, flags, times, texts nor vectors.
    """
    found = _canonical(columns)
    if not found:
        return []
    start = hashlib.sha256(sha256(_FORMAT, *(column.header for column in found)).encode())
    cells = np.hstack([column.cells for column in found])
    texts = [column.texts for column in found if column.texts]
    return [
        _row_hash(start, row, [words[place] for words in texts]) for place, row in enumerate(cells)
    ]


def _row_hash(start: Any, row: Bytes, words: Sequence[bytes]) -> str:
    digest = start.copy()
    digest.update(row.tobytes())
    for word in words:
        digest.update(b"%d:%b" % (len(word), word))
    return str(digest.hexdigest())


def _canonical(columns: pa.Table) -> list[_Column]:
    return [
        _canonical_column(name, columns[name].combine_chunks()) for name in columns.column_names
    ]


def _canonical_column(name: str, values: pa.Array) -> _Column:
    if isinstance(values, pa.ChunkedArray):  # what a column without any chunk comes to
        values = pa.array([], values.type)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    valid = np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)[:, None]
    if _is_text(values.type):
        words = tuple((word or "").encode() for word in values.to_pylist())
        return _Column(f"{name}\0text", valid.view(np.uint8), words)
    kind, numbers = _numbers(name, values)
    held = np.ascontiguousarray(np.where(valid, numbers, numbers.dtype.type(0)))
    width = held.shape[1] * held.itemsize
    cells = np.hstack([valid.view(np.uint8), held.view(np.uint8).reshape(len(held), width)])
    return _Column(f"{name}\0{kind}", cells)


def _numbers(name: str, values: pa.Array) -> tuple[str, npt.NDArray[Any]]:
    """Name of the type, and (N, D) little-endian numbers; anything where there is no value."""
    kind = values.type
    if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type):
        filled = pc.fill_null(values, pa.scalar([0.0] * kind.list_size, kind))
        inner, flat = _numbers(name, filled.flatten())
        return f"{inner}[{kind.list_size}]", flat.reshape(len(values), kind.list_size)
    if pa.types.is_timestamp(kind):
        ticks = values.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
        return "instant" if kind.tz else "local time", _array(ticks, "<i8")
    if pa.types.is_boolean(kind):
        return "flag", _array(values.cast(pa.int8()), "<i1")
    if pa.types.is_integer(kind):
        return "integer", _array(values.cast(pa.int64()), "<i8")
    if pa.types.is_floating(kind):
        width = "<f8" if pa.types.is_float64(kind) else "<f4"
        numbers = _array(values, width) + np.dtype(width).type(0)  # negative zero becomes zero
        numbers[np.isnan(numbers)] = np.nan
        return "float64" if width == "<f8" else "float32", numbers
    message = f"column {name!r} of {kind} has no canonical form"
    raise TypeError(message)


def _array(values: pa.Array, kind: str) -> npt.NDArray[Any]:
    filled = pc.fill_null(values, 0)
    return np.asarray(filled.to_numpy(zero_copy_only=False)).astype(kind)[:, None]


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
