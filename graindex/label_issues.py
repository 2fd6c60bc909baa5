"""Label issues: images whose class does not fit their vector, ranked, label by label.

Out of scope: the model (`models.learn.label_noise`), images that are of another collection
(`graindex.foreign_images`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graindex.class_labels import (
    ClassLabel,
    HeldOut,
    class_labels,
    held_out,
    kinship,
    only,
    without_single,
)
from graindex.files import sha256
from graindex.kept_rows import standing
from graindex.outcome import Outcome
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.training.groups import Codes
from graindex.vector_history import as_matrix, index_as_of, vectors_as_of
from models.learn.label_noise import LABEL_NOISE_CODE_VERSION, label_noise
from schemas.arrow import arrow_schema, from_columns
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

LABEL_ISSUES_CODE_VERSION = f"1+noise.{LABEL_NOISE_CODE_VERSION}"
TABLE = "label_issues"

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One label that can be judged.

    Attributes:
        label: the label of the images that have a vector.
        groups: (N,) what is held out together.
        held_out: what the groups are.
        input_hash: hash of all that decides the judgement.
    """

    label: ClassLabel
    groups: Codes
    held_out: HeldOut
    input_hash: str


def refresh_label_issues(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the label issues of a collection up to date.

    A label is judged again as a whole when a label, a vector or what is held out changed for any
    image that has it, since one model judges all of them.

    Raises:
        QueryError: vectors are gone.
    """
    dataset = recipe.dataset
    cases = _cases(store, dataset)
    before = store.lake.read(TABLE, dataset)
    wanted = {case.label.name: case.input_hash for case in cases}
    kept = standing(before, "label_name", wanted, LABEL_ISSUES_CODE_VERSION)
    have = set(kept["label_name"].to_pylist())
    todo = [case for case in cases if case.label.name not in have]
    tables = [kept.select(TABLES[TABLE].columns).cast(arrow_schema(TABLES[TABLE]))]
    vectors = vectors_by_image(store, dataset) if todo else {}
    report(TABLE, 0, len(todo))
    for done, case in enumerate(todo, start=1):
        tables.append(_judged(dataset, case, vectors))
        report(TABLE, done, len(todo))
    rows = pa.concat_tables(tables)
    snapshot = store.lake.replace(
        {TABLE: rows}, dataset, author=author, message=f"{TABLE} of {dataset}"
    )
    gone = set(before["label_name"].to_pylist()) - wanted.keys()
    dropped = sum(name in gone for name in before["label_name"].to_pylist())
    return Outcome(
        rows.num_rows, rows.num_rows - kept.num_rows, kept.num_rows, dropped, {}, snapshot
    )


def inputs_of_label_issues(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the issues of each label rest on now, by `label_name`."""
    return {case.label.name: case.input_hash for case in _cases(store, recipe.dataset)}


def vectors_by_image(store: "Store", dataset: str) -> dict[str, Vectors]:
    """Vector (D,) of length 1 of each image of a collection.

    Raises:
        QueryError: vectors are gone.
    """
    rows = vectors_as_of(store, dataset)
    return dict(zip(rows["micrograph_id"].to_pylist(), as_matrix(rows["vector"]), strict=True))


def _cases(store: "Store", dataset: str) -> list[_Case]:
    """Labels that can be judged, with what they rest on."""
    labels = class_labels(store, dataset)
    if not labels:
        return []
    index = index_as_of(store, dataset, None)
    hashes = dict(
        zip(index["micrograph_id"].to_pylist(), index["vector_hash"].to_pylist(), strict=True)
    )
    kin = kinship(store, dataset)
    cases = []
    for label in labels:
        encoded = only(label, set(hashes))
        if encoded is None:
            continue
        what, groups = held_out(encoded, kin)
        judged = without_single(encoded, groups)
        if judged is not None:
            cases.append(_case(*judged, what, hashes))
    return cases


def _case(label: ClassLabel, groups: Codes, what: HeldOut, hashes: Mapping[str, str]) -> _Case:
    decides = zip(label.ids, label.texts, groups, strict=True)
    lines = [f"{one} {hashes[one]} {group} {text}" for one, text, group in decides]
    return _Case(label, groups, what, sha256(label.name, what, *lines))


def _judged(dataset: str, case: _Case, vectors: Mapping[str, Vectors]) -> pa.Table:
    label = case.label
    x = np.stack([vectors[one] for one in label.ids]).astype(np.float64)
    found = label_noise(x, label.codes, case.groups)
    count = len(label.ids)
    same = {
        "dataset": dataset,
        "label_name": label.name,
        "held_out": case.held_out,
        "input_hash": case.input_hash,
        "code_version": LABEL_ISSUES_CODE_VERSION,
    }
    classes = np.array(label.classes, object)
    suggested = classes[found.suggested]
    suggested[found.suggested == label.codes] = None
    columns = {
        "micrograph_id": np.array(label.ids, object),
        "label_text": classes[label.codes],
        "suggested_text": suggested,
        "label_confidence": np.clip(found.confidence, 0, 1),
        "issue_rank": found.rank,
        "suspected": found.suspected,
        **{name: np.full(count, value, object) for name, value in same.items()},
    }
    return from_columns(TABLES[TABLE], columns)
