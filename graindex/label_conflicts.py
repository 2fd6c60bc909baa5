"""Labels that contradict each other: names, readings, statements and columns of samples.

Out of scope: sources of one acquisition quantity (`graindex.checks`), and labels that contradict
the image itself (`graindex.label_issues`).
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from graindex.class_labels import ClassLabel, class_labels, kinship
from graindex.training.statements import label_columns, list_labels, statements_of

if TYPE_CHECKING:
    from graindex.store import Store

Line = tuple[str, str]
"""Key of an image or other entity, and what was found."""

Record = Mapping[str, object]

TOLERANCE = 0.05
"""Relative difference of two numbers from which on they contradict each other."""

MIN_LETTERS = 3
"""Of a class that is looked for in paths: shorter ones stand there by chance."""

MIN_AGREEMENT = 0.5
"""Share of the paths with a class in them that agree, below which the words mean something else."""

_NUMBER = r"(\d+(?:\.\d+)?)"
_START, _END = r"(?<![A-Za-z0-9.])", r"(?![A-Za-z0-9])"
_QUANTITIES: dict[str, tuple[re.Pattern[str], ...]] = {
    "magnification": (
        re.compile(rf"{_START}[xX×]{_NUMBER}([kK]?){_END}"),
        re.compile(rf"{_START}{_NUMBER}([kK]?)[xX×]{_END}"),
    ),
    "accelerating_voltage_kv": (re.compile(rf"{_START}{_NUMBER} ?()[kK][vV]{_END}"),),
    "working_distance_mm": (re.compile(rf"{_START}[wW][dD][ =_]?{_NUMBER} ?()mm{_END}"),),
}
_LEAST = {"magnification": 5.0}
"""Smaller numbers beside an x are something else, such as a composition or a count."""


def names_against_readings(store: "Store", dataset: str) -> list[Line]:
    """Images whose path states another magnification, voltage or working distance than a source."""
    paths = _paths(store, dataset)
    columns = ("micrograph_id", "quantity", "reading_source", "value_number")
    rows = store.lake.read("acquisition_readings", dataset, columns=columns).to_pylist()
    found = []
    for row in rows:
        key, quantity, value = row["micrograph_id"], row["quantity"], row["value_number"]
        if quantity not in _QUANTITIES or value is None or key not in paths:
            continue
        stated = numbers_in(paths[key], quantity)
        if stated and not any(_alike(number, value) for number in stated):
            told = " and ".join(f"{number:g}" for number in stated)
            found.append((key, f"name states {quantity} {told}, {row['reading_source']} {value:g}"))
    return sorted(found)


def numbers_in(path: str, quantity: str) -> list[float]:
    """Values of a quantity that a path states, such as 500 of magnification in ``a_x500.tif``."""
    numbers = [
        float(number) * (1000 if kilo else 1)
        for pattern in _QUANTITIES[quantity]
        for number, kilo in pattern.findall(path.replace("_", " "))
    ]
    return [number for number in numbers if number >= _LEAST.get(quantity, 0)]


def names_against_labels(store: "Store", dataset: str) -> list[Line]:
    """Images whose path names another class of a label than the label itself."""
    paths = _paths(store, dataset)
    return sorted(
        line for label in class_labels(store, dataset) for line in _misnamed(label, paths)
    )


def _misnamed(label: ClassLabel, paths: Mapping[str, str]) -> list[Line]:
    classes = [name for name in label.classes if _telling(name)]
    named = [
        (one, given, inside[0])
        for one, given in zip(label.ids, label.texts, strict=True)
        if one in paths and len(inside := classes_in(paths[one], classes)) == 1
    ]
    agree = sum(given == inside for _, given, inside in named)
    if not named or agree < MIN_AGREEMENT * len(named):
        return []
    return [
        (one, f"name states {label.name} {inside}, label {given}")
        for one, given, inside in named
        if given != inside
    ]


def classes_in(path: str, classes: Sequence[str]) -> list[str]:
    """Classes that stand in a path as words of their own; of one within another the longer."""
    found = [
        name
        for name in classes
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", path, re.IGNORECASE)
    ]
    return [name for name in found if not any(name != other and name in other for other in found)]


def statements_against_samples(store: "Store", dataset: str) -> list[Line]:
    """Images and specimens of which a statement says something else than `samples`."""
    names = set(list_labels(store, [dataset])["label_name"].to_pylist())
    names &= set(label_columns(store))
    if not names:
        return []
    samples = {row["sample_id"]: row for row in store.lake.read("samples", dataset).to_pylist()}
    specimens = kinship(store, dataset).specimens
    found = []
    for row in statements_of(store, sorted(names), datasets=[dataset]).to_pylist():
        entity = row["entity_id"]
        specimen = entity if row["entity_kind"] == "sample" else specimens.get(entity)
        given = samples.get(specimen, {}).get(row["label_name"])
        said = _value(row)
        if given is not None and not _alike(said, given):
            told = f"{row['label_name']}: {row['labeller']} states {_word(said)}"
            found.append((entity, f"{told}, samples {_word(given)}"))
    return sorted(found)


def labellers_against_each_other(store: "Store", dataset: str) -> list[Line]:
    """What several labellers state differently: the newest statement of each counts."""
    names = sorted(set(list_labels(store, [dataset])["label_name"].to_pylist()))
    stated: dict[tuple[str, str], dict[str, Record]] = {}
    rows = statements_of(store, names, datasets=[dataset]).to_pylist() if names else []
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        by_labeller = stated.setdefault((row["entity_id"], row["label_name"]), {})
        by_labeller[row["labeller"]] = row
    return sorted(_contradictions(stated))


def _contradictions(stated: Mapping[tuple[str, str], Mapping[str, Record]]) -> Iterator[Line]:
    for (entity, name), by_labeller in stated.items():
        values = {who: _value(row) for who, row in by_labeller.items()}
        first = next(iter(values.values()))
        if not all(_alike(first, value) for value in values.values()):
            told = ", ".join(f"{who} {_word(value)}" for who, value in sorted(values.items()))
            yield entity, f"{name}: {told}"


def _paths(store: "Store", dataset: str) -> dict[str, str]:
    columns = ("micrograph_id", "path")
    rows = store.lake.read("micrographs", dataset, columns=columns)
    return dict(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def _telling(name: str) -> bool:
    """Whether a class is a word that hardly stands in a path by chance."""
    return sum(letter.isalpha() for letter in name) >= MIN_LETTERS


def _value(row: Record) -> object:
    return row["label_text"] if row["label_number"] is None else row["label_number"]


def _alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE)
    return one == other


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
