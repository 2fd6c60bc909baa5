"""Tables of samples: a CSV that joins labels to images or to specimens.

Out of scope: what the labels mean (`graindex.labels`).
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import fsspec

from graindex.errors import CollectionError

PATH_KEYS = ("path", "file", "image")
SAMPLE_KEY = "sample"


@dataclass(frozen=True)
class SampleTable:
    """A table of samples as text.

    Attributes:
        key: "path" where its rows are images, "sample" where they are specimens.
        rows: labels by key.
    """

    key: str
    rows: dict[str, dict[str, str]]


def read_sample_table(uri: str) -> SampleTable:
    """Read a CSV that joins by `path`, `file` or `image` to images, or by `sample` to specimens.

    Raises:
        CollectionError: it cannot be read, has no such column, or names a key twice.
    """
    try:
        with fsspec.open(uri, "rb") as handle:
            text = handle.read().decode("utf-8-sig")
    except FileNotFoundError as error:
        message = f"samples table {uri} is not there"
        raise CollectionError(message) from error
    except (OSError, ImportError, ValueError) as error:
        message = f"samples table {uri} cannot be read as UTF-8 text: {error}"
        raise CollectionError(message) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        lines = list(reader)
    except csv.Error as error:
        message = f"samples table {uri} line {reader.line_num}: {error}"
        raise CollectionError(message) from error
    named = [header for header in reader.fieldnames or [] if header.strip()]
    names = [column_name(header) for header in named]
    headers = dict(zip(named, names, strict=True))
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        message = f"samples table {uri} has column {repeated[0]!r} twice"
        raise CollectionError(message)
    key = next((name for name in (*PATH_KEYS, SAMPLE_KEY) if name in names), None)
    if key is None:
        message = (
            f"samples table {uri} has no column path, file or image (to join images) "
            "nor sample (to join specimens)"
        )
        raise CollectionError(message)
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, start=2):
        row = {headers[h]: (line[h] or "").strip() for h in headers}
        label = row.pop(key)
        if not label and not any(row.values()):
            continue  # spreadsheets end their tables with empty rows
        if not label:
            message = f"samples table {uri} line {number}: no {key}"
            raise CollectionError(message)
        if key in PATH_KEYS:
            label = PurePosixPath(label.replace("\\", "/")).as_posix()
        if label in rows and rows[label] != row:
            message = f"samples table {uri} line {number}: {key} {label!r} stands there already"
            raise CollectionError(message)
        rows[label] = row
    return SampleTable("path" if key in PATH_KEYS else SAMPLE_KEY, rows)


def column_name(header: str) -> str:
    """A header as a column name: lower case, one underscore for each run of other signs."""
    return re.sub(r"\W+", "_", header.strip()).strip("_").lower()
