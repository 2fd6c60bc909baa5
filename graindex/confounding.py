"""Confounders: whether settings, brightness, date or session alone already predict a label.

Out of scope: the prediction (`models.learn.predictability`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.class_labels import (
    ClassLabel,
    Kinship,
    class_labels,
    kinship,
    only,
    specimen_groups,
    without_single,
)
from graindex.files import sha256
from graindex.kept_rows import standing
from graindex.outcome import Outcome
from graindex.progress import report
from graindex.recipes import Recipe
from graindex.training.groups import Codes
from models.learn.predictability import PREDICTABILITY_CODE_VERSION, predictability
from schemas.arrow import arrow_schema, from_records
from schemas.ddl import literal
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

CONFOUNDERS_CODE_VERSION = f"1+predictability.{PREDICTABILITY_CODE_VERSION}"
TABLE = "confounders"

PREDICTORS: dict[str, tuple[str, ...]] = {
    "brightness and contrast": ("brightness_mean", "contrast_std"),
    "date": ("acquired_at",),
    "session": ("session_id",),
    "settings": (
        "magnification",
        "accelerating_voltage_kv",
        "working_distance_mm",
        "instrument",
        "detector",
    ),
}
"""What a label should not follow from, by what it is called."""

MIN_IMAGES = 20
"""With a value: with fewer even a perfect prediction is hardly above guessing."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One label and what may predict it.

    Attributes:
        label: the label of the images that have a value.
        predictors: what the columns of `x` are called together.
        x: (N, D) values; NaN where unknown.
        groups: (N,) specimens, near-duplicates together.
        content: hash of all that decides the result.
    """

    label: ClassLabel
    predictors: str
    x: Floats
    groups: Codes
    content: str


def refresh_confounders(store: "Store", recipe: Recipe, *, author: str) -> Outcome:
    """Bring the confounders of a collection's labels up to date, label by label."""
    dataset = recipe.dataset
    cases = _cases(store, dataset)
    wanted = _inputs(cases)
    before = store.lake.read(TABLE, dataset)
    kept = standing(before, "label_name", wanted, CONFOUNDERS_CODE_VERSION)
    have = set(kept["label_name"].to_pylist())
    todo = [case for case in cases if case.label.name not in have]
    records = []
    report(TABLE, 0, len(todo))
    for done, case in enumerate(todo, start=1):
        records.append(_measured(dataset, case, wanted[case.label.name]))
        report(TABLE, done, len(todo))
    schema = arrow_schema(TABLES[TABLE])
    own = kept.select(schema.names).cast(schema)
    rows = pa.concat_tables([own, from_records(TABLES[TABLE], records)])
    snapshot = store.lake.replace(
        {TABLE: rows}, dataset, author=author, message=f"{TABLE} of {dataset}"
    )
    dropped = sum(name not in wanted for name in before["label_name"].to_pylist())
    return Outcome(rows.num_rows, len(records), own.num_rows, dropped, {}, snapshot)


def inputs_of_confounders(store: "Store", recipe: Recipe) -> dict[str, str]:
    """What the rows of each label rest on now, by `label_name`."""
    return _inputs(_cases(store, recipe.dataset))


def _inputs(cases: Sequence[_Case]) -> dict[str, str]:
    hashes: dict[str, list[str]] = {}
    for case in cases:
        hashes.setdefault(case.label.name, []).append(case.content)
    return {name: sha256(name, *contents) for name, contents in hashes.items()}


def _cases(store: "Store", dataset: str) -> list[_Case]:
    """Each label with each kind of predictor that says something of enough images."""
    labels = class_labels(store, dataset)
    if not labels:
        return []
    columns = ", ".join(name for names in PREDICTORS.values() for name in names)
    images = store.table(
        f"SELECT micrograph_id, {columns} FROM micrograph_catalog "
        f"WHERE dataset = {literal(dataset)} ORDER BY micrograph_id"
    )
    kin = kinship(store, dataset)
    cases = []
    for label in labels:
        judged = [
            case
            for name, columns_of in PREDICTORS.items()
            if (case := _case(label, name, images, columns_of, kin)) is not None
        ]
        cases += judged
    return cases


def _case(
    label: ClassLabel, name: str, images: pa.Table, columns: Sequence[str], kin: Kinship
) -> _Case | None:
    values = np.stack([_numbers(images[column]) for column in columns], axis=1)
    varying = [i for i in range(len(columns)) if len(np.unique(_known(values[:, i]))) > 1]
    if not varying:
        return None
    ids = images["micrograph_id"].to_pylist()
    told = dict(zip(ids, values[:, varying], strict=True))
    with_value = {one for one, row in told.items() if np.isfinite(row).any()}
    chosen = only(label, with_value)
    if chosen is None or len(chosen.ids) < MIN_IMAGES:
        return None
    kept = without_single(chosen, specimen_groups(chosen, kin))
    if kept is None:
        return None
    part, groups = kept
    x = np.stack([told[one] for one in part.ids])
    lines = zip(part.ids, part.texts, groups, x.tolist(), strict=True)
    return _Case(part, name, x, groups, sha256(name, *(str(line) for line in lines)))


def _numbers(column: pa.ChunkedArray) -> Floats:
    """A column as numbers; texts as their place among all texts, times in seconds, null as NaN."""
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.int64()).cast(pa.float64()), 1e6)
    elif pa.types.is_string(column.type):
        texts = sorted(set(column.drop_null().to_pylist()))
        column = pc.index_in(column, value_set=pa.array(texts, pa.string()))
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _known(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _measured(dataset: str, case: _Case, input_hash: str) -> dict[str, object]:
    found = predictability(case.x, case.label.codes, case.groups)
    return {
        "dataset": dataset,
        "label_name": case.label.name,
        "predictors": case.predictors,
        "predictability": found.accuracy,
        "chance_level": found.chance,
        "row_count": len(case.label.ids),
        "alarm": found.alarm,
        "input_hash": input_hash,
        "code_version": CONFOUNDERS_CODE_VERSION,
    }
