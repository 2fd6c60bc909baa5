"""Tables of label statements as text: who states what, of what, and for when.

Out of scope: finding what they are about in the store (`graindex.training.statements`).
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import fsspec

from graindex.errors import GraindexError
from graindex.sample_table import PATH_KEYS, SAMPLE_KEY, column_name

COLLECTION = "collection"
"""Labeller of what stands in names and tables of samples, and of statements that name none."""

ID_KEYS = ("micrograph_id", "sample_id", "volume_id", "particle_id")
_VALUE, _LABEL, _LABELLER, _MEASURED, _NOTE = "value", "label", "labeller", "measured_at", "note"
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


class LabelError(GraindexError):
    """A table of labels or a request for a label is wrong."""


@dataclass(frozen=True)
class Statement:
    """One value of one label, as text.

    Attributes:
        line: where it stands.
        about: what it is about, as the file names it.
        label: name of the label, as a column name.
        value: its value; never empty.
        labeller: who states it.
        measured_at: when it was true or was measured; None where it is timeless.
        note: remark.
    """

    line: int
    about: str
    label: str
    value: str
    labeller: str
    measured_at: datetime | None
    note: str | None


@dataclass(frozen=True)
class LabelFile:
    """The statements of one file.

    Attributes:
        uri: the file.
        key: column that says what they are about: `path`, `sample`, or a key of the catalog.
        statements: what is stated.
        empty: values that were left empty.
    """

    uri: str
    key: str
    statements: tuple[Statement, ...]
    empty: int


def read_label_file(
    uri: str, *, labeller: str | None = None, label: str | None = None, zone: str = "UTC"
) -> LabelFile:
    """Read a CSV with one column that identifies, and `label` and `value` or a column a label.

    Args:
        uri: path or URL of the CSV; UTF-8.
        labeller: who states what has no `labeller` of its own; `collection` when None.
        label: read this label only; it also names a single column `value` or `label`.
        zone: time zone of times without one in `measured_at`. A date is its first moment.

    Raises:
        LabelError: it cannot be read, lacks a column, or a value is wrong; says where.
    """
    rows, headers = _rows(uri)
    key = _identifying(uri, headers)
    wanted = column_name(label) if label else None
    statements, empty = [], 0
    for line, name, value in _cells(uri, rows, headers, key, wanted):
        row = rows[line]
        if not value:
            empty += 1
            continue
        if not row[key] or not name:
            message = f"table of labels {uri} line {line}: no {'label' if row[key] else key}"
            raise LabelError(message)
        who = row.get(_LABELLER) or labeller or COLLECTION
        when = _instant(uri, line, row.get(_MEASURED, ""), time_zone(zone))
        note = row.get(_NOTE) or None
        statements.append(Statement(line, row[key], name, value, who, when, note))
    if not statements:
        message = f"table of labels {uri} states nothing{f' of {wanted!r}' if wanted else ''}"
        raise LabelError(message)
    return LabelFile(uri, "path" if key in PATH_KEYS else key, tuple(statements), empty)


def _cells(
    uri: str,
    rows: Mapping[int, Mapping[str, str]],
    headers: Sequence[str],
    key: str,
    wanted: str | None,
) -> Iterator[tuple[int, str, str]]:
    """Line, label and value of every cell that states something."""
    if _VALUE in headers:
        if _LABEL not in headers and wanted is None:
            message = f"table of labels {uri} has values without a column label: give --label"
            raise LabelError(message)
        for line, row in rows.items():
            name = column_name(row.get(_LABEL, wanted or ""))
            if wanted in {None, name}:
                yield line, name, row[_VALUE]
        return
    own = [name for name in headers if name not in {key, _LABELLER, _MEASURED, _NOTE}]
    if wanted is None and (_LABEL in own or not own):
        what = "a column label without value: give --label" if own else f"no label beside {key}"
        message = f"table of labels {uri} has {what}"
        raise LabelError(message)
    columns = {name: name for name in own if wanted in {None, name}}
    if not columns and _LABEL in own:
        columns = {_LABEL: wanted or _LABEL}
    if not columns:
        message = f"table of labels {uri} has no label {wanted!r}; it has {', '.join(own)}"
        raise LabelError(message)
    for line, row in rows.items():
        for column, name in columns.items():
            yield line, name, row[column]


def _instant(uri: str, line: int, text: str, zone: ZoneInfo) -> datetime | None:
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = (
            f"table of labels {uri} line {line}: {_MEASURED} {text!r} is no time such as "
            "2026-03-01 or 2026-03-01T14:30+01:00"
        )
        raise LabelError(message) from error


def number_of(text: str) -> float | None:
    """A text as a finite number, or None."""
    number = float(text) if _NUMBER.fullmatch(text) else None
    return number if number is None or abs(number) != float("inf") else None


def time_zone(name: str) -> ZoneInfo:
    """Time zone by its IANA name, such as Europe/Berlin.

    Raises:
        LabelError: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"{name!r} is no time zone; give one such as UTC or Europe/Berlin"
        raise LabelError(message) from error


def _rows(uri: str) -> tuple[dict[int, dict[str, str]], list[str]]:
    """Lines that hold something by their number, and the names of the columns."""
    try:
        with fsspec.open(uri, "rb") as handle:
            text = handle.read().decode("utf-8-sig")
    except FileNotFoundError as error:
        message = f"table of labels {uri} is not there"
        raise LabelError(message) from error
    except (OSError, ImportError, ValueError) as error:
        message = f"table of labels {uri} cannot be read as UTF-8 text: {error}"
        raise LabelError(message) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    rows = {}
    try:
        names = {header: column_name(header) for header in reader.fieldnames or []}
        for row in reader:
            values = {name: (row[header] or "").strip() for header, name in names.items() if name}
            if any(values.values()):  # spreadsheets end their tables with empty rows
                rows[reader.line_num] = values
    except csv.Error as error:
        message = f"table of labels {uri} line {reader.line_num}: {error}"
        raise LabelError(message) from error
    headers = [column_name(header) for header in reader.fieldnames or []]
    repeated = [name for name in headers if name and headers.count(name) > 1]
    if repeated:
        message = f"table of labels {uri} has column {repeated[0]!r} twice"
        raise LabelError(message)
    return rows, [name for name in headers if name]


def _identifying(uri: str, headers: Sequence[str]) -> str:
    known = (*PATH_KEYS, SAMPLE_KEY, *ID_KEYS)
    keys = [name for name in known if name in headers]
    if len(keys) == 1:
        return keys[0]
    if not keys:
        message = f"table of labels {uri} says not what it labels: a column {', '.join(known)}"
    else:
        message = f"table of labels {uri} says twice what it labels, {' and '.join(keys)}: keep one"
    raise LabelError(message)
