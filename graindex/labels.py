"""Specimens: what paths and tables of samples say, and which image is of which specimen.

Out of scope: opening images.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

import fsspec

from graindex.errors import CollectionError
from graindex.files import sha256
from graindex.readers.quantities import length_m, magnification, number_and_unit, voltage_kv
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
_QUANTITIES = {quantity.value: quantity for quantity in Quantity}
_UNITS: dict[Quantity, Callable[[str], float | None]] = {
    Quantity.PIXEL_SIZE_UM: lambda text: (length_m(text) or 0) * 1e6,
    Quantity.WORKING_DISTANCE_MM: lambda text: (length_m(text) or 0) * 1e3,
    Quantity.ACCELERATING_VOLTAGE_KV: voltage_kv,
    Quantity.MAGNIFICATION: magnification,
}

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
    key = next((name for name in (*_PATH_KEYS, _SAMPLE) if name in names), None)
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
    """Refuse label names that are columns of ours, or no names at all.

    Raises:
        CollectionError: names the first such label.
    """
    for name in names:
        if not column_name(name):
            message = f"label {name!r} has no letter or digit; rename it"
            raise CollectionError(message)
        if column_name(name) in _TAKEN - _QUANTITIES.keys():
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

    Raises:
        CollectionError: a label has the name of a column of ours.
    """
    pattern = re.compile(recipe.label_pattern) if recipe.label_pattern else None
    check_label_names(pattern.groupindex if pattern else ())
    check_label_names({name for row in table.rows.values() for name in row} if table else ())
    by_path = _rows_by_path(table, paths)
    by_sample = table.rows if table and table.key == _SAMPLE else {}
    specimens: dict[str, _Specimen] = {}
    sample_ids: dict[str, str] = {}
    readings: dict[str, tuple[Reading, ...]] = {}
    findings: dict[str, tuple[Finding, ...]] = {}
    for path in paths:
        match = pattern.search(path) if pattern else None
        labels = dict(by_path.get(path, {}))
        if match:
            labels |= {column_name(k): v for k, v in match.groupdict().items() if v is not None}
        labels = {**by_sample.get(labels.get(_SAMPLE, ""), {}), **labels}
        notes = _missing(path, recipe, match is not None, table, by_path, labels.get(_SAMPLE))
        readings[path], labels, more = _split(labels)
        findings[path] = (*notes, *more)
        if pattern and not match and not labels:
            continue
        if table and table.key == "path" and path not in by_path and not labels:
            continue
        sample_ids[path] = _place(specimens, recipe.dataset, labels)
    for name, row in by_sample.items():  # specimens without an image come too
        key = _key_of_sample(recipe.dataset, name)
        own = {k: v for k, v in row.items() if k not in _QUANTITIES}
        specimens.setdefault(key, _Specimen(name, own))
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
        candidates = by_name.get(key, [])
        if key in known:
            found[key] = row
        elif len(candidates) == 1:
            found.setdefault(candidates[0], row)
    return found


def _missing(
    path: str,
    recipe: Recipe,
    matched: bool,
    table: SampleTable | None,
    by_path: Mapping[str, dict[str, str]],
    sample: str | None,
) -> list[Finding]:
    notes = []
    if recipe.label_pattern and not matched:
        notes.append(Finding("label_pattern_unmatched", f"the label pattern does not match {path}"))
    if table and table.key == "path" and path not in by_path:
        notes.append(Finding("samples_row_missing", f"the samples table has no row for {path}"))
    if table and table.key == _SAMPLE and sample is not None and sample not in table.rows:
        detail = f"the samples table has no row for sample {sample!r}"
        notes.append(Finding("samples_row_missing", detail))
    return notes


def _split(
    labels: dict[str, str],
) -> tuple[tuple[Reading, ...], dict[str, str], list[Finding]]:
    """Acquisition values, specimen labels, and values that could not be read."""
    readings, rest, findings = [], {}, []
    for name, text in labels.items():
        if name not in _QUANTITIES:
            rest[name] = text
            continue
        if not text:
            continue
        value = _acquisition_value(_QUANTITIES[name], text)
        if value is None:
            findings.append(Finding("label_unreadable", f"{name} {text!r} is not a value"))
        else:
            readings.append(
                Reading(_QUANTITIES[name], Source.USER, value, detail=f"label {name} = {text}")
            )
    return tuple(readings), rest, findings


def _acquisition_value(quantity: Quantity, text: str) -> float | str | datetime | None:
    """The value in the quantity's unit; a unit in the text counts: "1964X", "20 kV", "270 nm"."""
    if quantity in _TEXTS:
        return text
    if quantity is Quantity.ACQUIRED_AT:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            return None
    if "," in text and quantity is not Quantity.MAGNIFICATION:
        return None  # "0,267" is a decimal comma to some and 267 to others
    number, unit = number_and_unit(text) or (0.0, "")
    if unit:
        number = _UNITS[quantity](text) or 0.0
    return number if number > 0 else None


def _place(specimens: dict[str, _Specimen], dataset: str, labels: dict[str, str]) -> str:
    """Put an image's labels to its specimen; returns the specimen's key."""
    if labels.get(_SAMPLE):
        key = _key_of_sample(dataset, labels[_SAMPLE])
        name = labels[_SAMPLE]
    else:
        pairs = sorted((k, v) for k, v in labels.items() if v)
        key = sha256(dataset, *(part for pair in pairs for part in pair))[:16]
        name = " / ".join(value for value in labels.values() if value) or dataset
    own = {k: v for k, v in labels.items() if k != _SAMPLE}
    specimen = specimens.setdefault(key, _Specimen(name, own))
    specimen.conflicts |= {k for k, v in own.items() if specimen.labels.setdefault(k, v) != v}
    return key


def _key_of_sample(dataset: str, name: str) -> str:
    return sha256(dataset, _SAMPLE, name)[:16]


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
