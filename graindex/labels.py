"""Specimens: what paths and tables of samples say, and which image is of which specimen.

Out of scope: opening images.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from graindex.errors import CollectionError
from graindex.files import sha256
from graindex.readers.quantities import length_m, magnification, number_and_unit, voltage_kv
from graindex.recipes import Recipe
from graindex.sample_table import SAMPLE_KEY, SampleTable, column_name
from models.calibrate.readings import Finding, Quantity, Reading, Source
from schemas.tables import TABLES

# Worked out anew from names and tables at every run.
LABEL_FINDINGS = frozenset({"label_pattern_unmatched", "samples_row_missing", "label_unreadable"})
_TEXTS = {Quantity.INSTRUMENT, Quantity.DETECTOR}
_TAKEN = frozenset(
    name
    for table in ("micrographs", "image_quality", "samples", "volumes", "particle_labels_3d")
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
        unjoined: rows of a table of images that fit no image, by what they name.
    """

    samples: tuple[dict[str, Value], ...]
    sample_ids: dict[str, str]
    readings: dict[str, tuple[Reading, ...]]
    findings: dict[str, tuple[Finding, ...]]
    unjoined: tuple[str, ...]


@dataclass
class _Specimen:
    name: str
    labels: dict[str, str]
    conflicts: set[str] = field(default_factory=set)


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
    by_path, unjoined = _rows_by_path(table, paths)
    by_sample = table.rows if table and table.key == SAMPLE_KEY else {}
    specimens: dict[str, _Specimen] = {}
    sample_ids: dict[str, str] = {}
    readings: dict[str, tuple[Reading, ...]] = {}
    findings: dict[str, tuple[Finding, ...]] = {}
    for path in paths:
        match = pattern.search(path) if pattern else None
        labels = dict(by_path.get(path, {}))
        if match:
            labels |= {column_name(k): v for k, v in match.groupdict().items() if v is not None}
        labels = {**by_sample.get(labels.get(SAMPLE_KEY, ""), {}), **labels}
        notes = _missing(path, recipe, match is not None, table, by_path, labels.get(SAMPLE_KEY))
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
    return Labelling(_with_numbers(samples), sample_ids, readings, findings, unjoined)


def _rows_by_path(
    table: SampleTable | None, paths: Sequence[str]
) -> tuple[Mapping[str, dict[str, str]], tuple[str, ...]]:
    """Rows of a table of images by relative path, and the names of rows that fit none.

    A bare file name joins where it is unique.
    """
    if table is None or table.key != "path":
        return {}, ()
    by_name: dict[str, list[str]] = {}
    for path in paths:
        by_name.setdefault(PurePosixPath(path).name, []).append(path)
    found: dict[str, dict[str, str]] = {}
    unjoined = []
    known = set(paths)
    for key, row in table.rows.items():
        candidates = by_name.get(key, [])
        if key in known:
            found[key] = row
        elif len(candidates) == 1:
            found.setdefault(candidates[0], row)
        else:
            unjoined.append(key)
    return found, tuple(unjoined)


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
    if table and table.key == SAMPLE_KEY and sample is not None and sample not in table.rows:
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
    if labels.get(SAMPLE_KEY):
        key = _key_of_sample(dataset, labels[SAMPLE_KEY])
        name = labels[SAMPLE_KEY]
    else:
        pairs = sorted((k, v) for k, v in labels.items() if v)
        key = sha256(dataset, *(part for pair in pairs for part in pair))[:16]
        name = " / ".join(value for value in labels.values() if value) or dataset
    own = {k: v for k, v in labels.items() if k != SAMPLE_KEY}
    specimen = specimens.setdefault(key, _Specimen(name, own))
    specimen.conflicts |= {k for k, v in own.items() if specimen.labels.setdefault(k, v) != v}
    return key


def is_named(dataset: str, sample_id: str, sample: str) -> bool:
    """Whether a specimen has a name of its own, and is not just a combination of labels."""
    return sample_id == _key_of_sample(dataset, sample)


def _key_of_sample(dataset: str, name: str) -> str:
    return sha256(dataset, SAMPLE_KEY, name)[:16]


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
