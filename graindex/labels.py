"""Specimens: what paths and tables of samples say, and which image is of which specimen.

Out of scope: opening images.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

import fsspec

from graindex.errors import CollectionError
from graindex.files import sha256
from graindex.recipes import Recipe
from models.calibrate.readings import Finding, Quantity, Reading, Source
from schemas.tables import TABLES

# Worked out anew from names and tables at every run.
LABEL_FINDINGS = frozenset({"label_pattern_unmatched", "samples_row_missing", "label_unreadable"})
_PATH_KEYS = ("path", "file", "image")
_SAMPLE = "sample"
_TEXTS = {Quantity.INSTRUMENT, Quantity.DETECTOR}
_TAKEN = frozenset(
    name
    for table in ("micrographs", "image_quality", "samples")
    for name in TABLES[table].columns
    if name not in {"sample", "material", "composition", "state"}
)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
# Labels need not be numbers throughout to carry one: "1964X", "x500", "20 kV".
_ACQUISITION_NUMBER = re.compile(
    r"(?i)^\s*[x×]?\s*(?P<number>[\d.,]+(?:e[-+]?\d+)?)\s*[a-zµ×]*\s*$"
)

Value = float | str | None


@dataclass(frozen=True)
class Labelling:
    """What is known of a collection's specimens before any image is opened.

    Attributes:
        samples: one record per specimen, columns of the table `samples` and its own.
        sample_ids: specimen of each image, by path.
        readings: acquisition values that the user gave, by path.
        findings: what a person should know, by path.
    """

    samples: tuple[dict[str, Value], ...]
    sample_ids: dict[str, str]
    readings: dict[str, tuple[Reading, ...]]
    findings: dict[str, tuple[Finding, ...]]


@dataclass
class _Specimen:
    name: str
    labels: dict[str, str]
    conflicts: set[str] = field(default_factory=set)


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
    except (OSError, UnicodeDecodeError) as error:
        message = f"samples table {uri} cannot be read as UTF-8 text: {error}"
        raise CollectionError(message) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    headers = {header: column_name(header) for header in reader.fieldnames or [] if header}
    repeated = [name for name in headers.values() if list(headers.values()).count(name) > 1]
    if repeated:
        message = f"samples table {uri} has column {repeated[0]!r} twice"
        raise CollectionError(message)
    key = next((name for name in (*_PATH_KEYS, _SAMPLE) if name in headers.values()), None)
    if key is None:
        message = (
            f"samples table {uri} has no column path, file or image (to join images) "
            "nor sample (to join specimens)"
        )
        raise CollectionError(message)
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate(reader, start=2):
        row = {headers[h]: (line[h] or "").strip() for h in headers}
        label = row.pop(key)
        if key in _PATH_KEYS:
            label = PurePosixPath(label.replace("\\", "/")).as_posix()
        if label in rows and rows[label] != row:
            message = f"samples table {uri} line {number}: {key} {label!r} stands there already"
            raise CollectionError(message)
        rows[label] = row
    return SampleTable("path" if key in _PATH_KEYS else _SAMPLE, rows)


def column_name(header: str) -> str:
    """A header as a column name: lower case, one underscore for each run of other signs."""
    return re.sub(r"\W+", "_", header.strip()).strip("_").lower()


def check_label_names(names: Iterable[str]) -> None:
    """Refuse label names that are columns of ours.

    Raises:
        CollectionError: names the first such label.
    """
    quantities = {quantity.value for quantity in Quantity}
    for name in names:
        if column_name(name) in _TAKEN - quantities:
            message = f"label {name!r} is a column of the catalog already; rename it"
            raise CollectionError(message)


def label(recipe: Recipe, paths: Sequence[str], table: SampleTable | None) -> Labelling:
    """Group a collection's images into specimens.

    A label `sample` names the specimen; without it each distinct combination of labels is one.
    Labels that are acquisition quantities (`magnification`, `pixel_size_um`, …) belong to the
    image, not to the specimen, and become readings.

    Args:
        recipe: the collection.
        paths: relative paths of its images.
        table: its table of samples, if it has one.
    """
    pattern = re.compile(recipe.label_pattern) if recipe.label_pattern else None
    by_path = _rows_by_path(table, paths)
    specimens: dict[str, _Specimen] = {}
    sample_ids: dict[str, str] = {}
    readings: dict[str, tuple[Reading, ...]] = {}
    findings: dict[str, tuple[Finding, ...]] = {}
    for path in paths:
        match = pattern.search(path) if pattern else None
        labels = dict(by_path.get(path, {}))
        if match:
            labels |= {column_name(k): v for k, v in match.groupdict().items() if v is not None}
        notes = _missing(path, recipe, match is not None, table, by_path)
        readings[path], labels, more = _split(labels)
        findings[path] = (*notes, *more)
        if pattern and not match and not labels:
            continue
        if table and table.key == "path" and path not in by_path and not labels:
            continue
        sample_ids[path] = _place(specimens, recipe.dataset, labels)
    if table and table.key == _SAMPLE:
        _join_specimens(specimens, recipe.dataset, table)
    samples = tuple(
        _record(recipe.dataset, key, specimen) for key, specimen in sorted(specimens.items())
    )
    return Labelling(_with_numbers(samples), sample_ids, readings, findings)


def _rows_by_path(table: SampleTable | None, paths: Sequence[str]) -> Mapping[str, dict[str, str]]:
    """Rows of a table of images by relative path; a bare file name joins where it is unique."""
    if table is None or table.key != "path":
        return {}
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(PurePosixPath(path).name, []).append(path)
    found: dict[str, dict[str, str]] = {}
    known = set(paths)
    for key, row in table.rows.items():
        candidates = [key] if key in known else by_name.get(key, [])
        if len(candidates) == 1:
            found[candidates[0]] = row
    return found


def _missing(
    path: str,
    recipe: Recipe,
    matched: bool,
    table: SampleTable | None,
    by_path: Mapping[str, dict[str, str]],
) -> list[Finding]:
    notes = []
    if recipe.label_pattern and not matched:
        notes.append(Finding("label_pattern_unmatched", f"the label pattern does not match {path}"))
    if table and table.key == "path" and path not in by_path:
        notes.append(Finding("samples_row_missing", f"the samples table has no row for {path}"))
    return notes


def _split(
    labels: dict[str, str],
) -> tuple[tuple[Reading, ...], dict[str, str], list[Finding]]:
    """Acquisition values, specimen labels, and values that could not be read."""
    readings, rest, findings = [], {}, []
    quantities = {quantity.value: quantity for quantity in Quantity}
    for name, text in labels.items():
        if name not in quantities:
            rest[name] = text
            continue
        if not text:
            continue
        value = _acquisition_value(quantities[name], text)
        if value is None:
            findings.append(Finding("label_unreadable", f"{name} {text!r} is not a value"))
        else:
            readings.append(
                Reading(quantities[name], Source.USER, value, detail=f"label {name} = {text}")
            )
    return tuple(readings), rest, findings


def _acquisition_value(quantity: Quantity, text: str) -> float | str | datetime | None:
    if quantity in _TEXTS:
        return text
    try:
        if quantity is Quantity.ACQUIRED_AT:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        match = _ACQUISITION_NUMBER.match(text)
        number = float(match["number"].replace(",", "")) if match else 0.0
    except ValueError:
        return None
    return number if number > 0 else None


def _place(specimens: dict[str, _Specimen], dataset: str, labels: dict[str, str]) -> str:
    """Put an image's labels to its specimen; returns the specimen's key."""
    if labels.get(_SAMPLE):
        key = sha256(dataset, _SAMPLE, labels[_SAMPLE])[:16]
        name = labels[_SAMPLE]
    else:
        pairs = sorted((k, v) for k, v in labels.items() if v)
        key = sha256(dataset, *(part for pair in pairs for part in pair))[:16]
        name = " / ".join(value for value in labels.values() if value) or dataset
    own = {k: v for k, v in labels.items() if k != _SAMPLE}
    specimen = specimens.setdefault(key, _Specimen(name, own))
    specimen.conflicts |= {k for k, v in own.items() if specimen.labels.setdefault(k, v) != v}
    return key


def _join_specimens(specimens: dict[str, _Specimen], dataset: str, table: SampleTable) -> None:
    """Add a table's labels to specimens by name; specimens without an image come too."""
    for name, labels in table.rows.items():
        key = sha256(dataset, _SAMPLE, name)[:16]
        specimen = specimens.setdefault(key, _Specimen(name, {}))
        specimen.labels |= labels


def _record(dataset: str, key: str, specimen: _Specimen) -> dict[str, Value]:
    # A label that differs between images of one specimen is not a label of the specimen.
    labels = {k: v or None for k, v in specimen.labels.items() if k not in specimen.conflicts}
    return {"dataset": dataset, "sample_id": key, "sample": specimen.name, **labels}


def _with_numbers(samples: tuple[dict[str, Value], ...]) -> tuple[dict[str, Value], ...]:
    """The records with every column whose texts are all numbers as numbers."""
    fixed = set(TABLES["samples"].columns)
    names = {name for record in samples for name in record} - fixed
    for name in names:
        values = [record.get(name) for record in samples]
        texts = [value for value in values if isinstance(value, str)]
        if texts and all(_NUMBER.fullmatch(text) for text in texts):
            for record in samples:
                text = record.get(name)
                record[name] = float(text) if isinstance(text, str) else None
    return samples
