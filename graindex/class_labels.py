"""Class labels of a collection's images: which there are, and what must be held out together.

Out of scope: judging them (`graindex.label_issues`, `graindex.confounding`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.ducklake import CATALOG
from graindex.entities import entity_rows
from graindex.labels import is_named
from graindex.training.groups import Codes, codes_of, codes_of_pairs, connected
from graindex.training.label_files import COLLECTION
from graindex.training.label_request import LabelRequest
from graindex.training.labels import LabelError, labels_of
from graindex.training.statements import list_labels
from models.learn.predictability import groups_of_classes

if TYPE_CHECKING:
    from graindex.store import Store

Mask = npt.NDArray[np.bool_]
HeldOut = Literal["specimen", "image"]

MIN_CLASS_IMAGES = 5
"""Images of a class below which neither its look nor its settings can be told."""

MAX_CLASSES = 20
MAX_NUMBERS = 8
"""Distinct numbers up to which a label such as a temperature counts as classes."""

MIN_COVERED = 0.5
"""Share of the labelled images that lies in classes large enough; names and remarks have less."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassLabel:
    """One label of N images that have it, in classes large enough.

    Attributes:
        name: name of the label.
        ids: (N,) keys of the images, in order.
        codes: (N,) class of each.
        classes: names of the classes, in order.
    """

    name: str
    ids: tuple[str, ...]
    codes: Codes
    classes: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """Class of each image by name."""
        return [self.classes[code] for code in self.codes]


def class_labels(store: "Store", dataset: str) -> list[ClassLabel]:
    """Labels of a collection's images that are classes, by name.

    Statements in `labels` and columns of `samples` count, as they stand now; so do numbers of few
    distinct values. Classes of fewer than five images are left out.
    """
    if image_count(store, dataset) < 2 * MIN_CLASS_IMAGES:
        return []
    listed = list_labels(store, [dataset])
    names = _candidates(listed)
    own = listed.filter(pc.not_equal(listed["labeller"], COLLECTION))
    stated = set(own["label_name"].to_pylist()).intersection(names)
    labels = {
        **_columns(store, dataset, [name for name in names if name not in stated]),
        **_stated(store, dataset, sorted(stated)),
    }
    found = (_as_classes(name, labels[name]) for name in names if name in labels)
    return [label for label in found if label is not None]


def _columns(store: "Store", dataset: str, names: Sequence[str]) -> dict[str, pa.Table]:
    """Labels that stand in columns of `samples` only, of each image that has one."""
    if not names:
        return {}
    images = store.lake.read("micrographs", dataset, columns=("micrograph_id", "sample_id"))
    samples = store.lake.read("samples", dataset, columns=("sample_id", *names))
    places = pc.index_in(images["sample_id"], value_set=samples["sample_id"].combine_chunks())
    found = {}
    for name in names:
        values = samples[name].take(places)
        known = pc.is_valid(values)
        value = "label_number" if pa.types.is_floating(values.type) else "label_text"
        columns = {"entity_id": images["micrograph_id"].filter(known), value: values.filter(known)}
        found[name] = pa.table(columns)
    return found


def _stated(store: "Store", dataset: str, names: Sequence[str]) -> dict[str, pa.Table]:
    """Labels that somebody states, of each image that has one."""
    found: dict[str, pa.Table] = {}
    images = entity_rows(store, "micrograph", datasets=[dataset]) if names else None
    for name in names:
        request = LabelRequest(name=name, timing="any", unknown_time="latest")
        # Statements may be of volumes or particles only, or numbers and texts under one name.
        with suppress(LabelError):
            found[name] = labels_of(store, request, images, "micrograph")
    return found


def _candidates(labels: pa.Table) -> list[str]:
    """Names of labels with more than one value, and not too many of them, by `list_labels`."""
    values: dict[str, int] = {}
    fewest: dict[str, int] = {}
    for row in labels.to_pylist():
        name, distinct = row["label_name"], row["distinct_values"]
        values[name] = values.get(name, 0) + distinct
        if row["holds"] == "number":
            fewest[name] = min(fewest.get(name, distinct), distinct)
    return sorted(
        name for name in values if values[name] > 1 and fewest.get(name, 0) <= MAX_NUMBERS
    )


def _as_classes(name: str, labels: pa.Table) -> ClassLabel | None:
    """The label, if its values are classes."""
    if "label_number" in labels.column_names and labels["label_number"].null_count == 0:
        numbers = labels["label_number"].to_pylist()
        if len(set(numbers)) > MAX_NUMBERS:
            return None
        texts = [f"{number:g}" for number in numbers]
    else:
        texts = labels["label_text"].to_pylist()
    counts = Counter(texts)
    classes = tuple(sorted(text for text, count in counts.items() if count >= MIN_CLASS_IMAGES))
    covered = sum(counts[text] for text in classes)
    if not 1 < len(classes) <= MAX_CLASSES or covered < MIN_COVERED * len(texts):
        return None
    place = {text: code for code, text in enumerate(classes)}
    kept = [i for i, text in enumerate(texts) if text in place]
    ids = labels["entity_id"].to_pylist()
    codes = np.array([place[texts[i]] for i in kept], np.int64)
    return ClassLabel(name, tuple(ids[i] for i in kept), codes, classes)


def only(label: ClassLabel, kept: set[str], least: int = MIN_CLASS_IMAGES) -> ClassLabel | None:
    """The label of some images; None where fewer than two classes keep `least` of them."""
    chosen = np.array([one in kept for one in label.ids], bool)
    counts = np.bincount(label.codes[chosen], minlength=len(label.classes))
    return _of_classes(label, chosen, counts >= least)


def without_single(label: ClassLabel, groups: Codes) -> tuple[ClassLabel, Codes] | None:
    """The label and its groups without classes of one group, which cannot be held out."""
    counts = groups_of_classes(label.codes, groups)
    chosen = np.ones(len(label.ids), bool)
    kept = _of_classes(label, chosen, counts > 1)
    return None if kept is None else (kept, groups[(counts > 1)[label.codes]])


def _of_classes(label: ClassLabel, chosen: Mask, large: Mask) -> ClassLabel | None:
    if large.sum() < 2:
        return None
    rows = np.flatnonzero(chosen & large[label.codes])
    codes = (np.cumsum(large) - 1)[label.codes[rows]]
    classes = tuple(name for name, kept in zip(label.classes, large, strict=True) if kept)
    return ClassLabel(label.name, tuple(label.ids[i] for i in rows), codes, classes)


@dataclass(frozen=True, slots=True)
class Kinship:
    """What hangs together among the images of a collection.

    Attributes:
        specimens: specimen of each image, by image; None where it has none.
        duplicates: pairs of images that show the same.
        named: whether specimens have names of their own, and are not just combinations of labels.
    """

    specimens: Mapping[str, str | None]
    duplicates: Sequence[tuple[str, str]]
    named: bool


def kinship(store: "Store", dataset: str) -> Kinship:
    """What hangs together among the images of a collection."""
    specimens = dict(_pairs(store, "micrographs", dataset, "micrograph_id", "sample_id"))
    names = _pairs(store, "samples", dataset, "sample_id", "sample")
    named = bool(names) and all(is_named(dataset, key, name) for key, name in names)
    duplicates = _pairs(store, "near_duplicates", dataset, "micrograph_id", "other_id")
    return Kinship(specimens, duplicates, named)


def held_out(label: ClassLabel, kin: Kinship) -> tuple[HeldOut, Codes]:
    """What is held out together when an image's label is judged, and the group of each image.

    Specimens with names of their own are held out whole, where each class has two of them: a wrong
    label of a specimen is that of all its images, which must not vouch for each other. A specimen
    that is nothing but a combination of labels says nothing; near-duplicates stay together always.
    """
    if kin.named:
        groups = specimen_groups(label, kin)
        if min(groups_of_classes(label.codes, groups)) > 1:
            return "specimen", groups
    rows = _rows(label, kin)
    alike = codes_of_pairs(rows, kin.duplicates)
    return "image", connected((codes_of(rows, ("entity_id",)), alike))


def specimen_groups(label: ClassLabel, kin: Kinship) -> Codes:
    """(N,) number of the specimen of each image, with its near-duplicates."""
    rows = _rows(label, kin)
    own, specimens = (codes_of(rows, (name,)) for name in ("entity_id", "sample_id"))
    return connected((own, specimens, codes_of_pairs(rows, kin.duplicates)))


def _rows(label: ClassLabel, kin: Kinship) -> pa.Table:
    specimens = [kin.specimens.get(one) for one in label.ids]
    columns = {"entity_id": label.ids, "sample_id": specimens}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _pairs(store: "Store", table: str, dataset: str, one: str, other: str) -> list[tuple[str, str]]:
    rows = store.lake.read(table, dataset, columns=(one, other))
    return list(zip(rows[one].to_pylist(), rows[other].to_pylist(), strict=True))


def image_count(store: "Store", dataset: str) -> int:
    """Number of catalogued images of a collection."""
    counting = f"SELECT count(*) AS n FROM {CATALOG}.micrographs WHERE dataset = ?"
    return int(store.lake.query(counting, [dataset])["n"][0].as_py())
