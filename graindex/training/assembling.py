"""Rows of a training set from entities, labels and split; each step is a table to a table.

Out of scope: features (`graindex.features`) and reading labels (`graindex.training.labels`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.errors import InputError
from graindex.training.request import TrainingSetRequest
from graindex.training.splits import Assignment

if TYPE_CHECKING:
    from graindex.store import Store

LABEL_COLUMNS = ("label_number", "label_text", "labeller", "measured_at")
ROW_COLUMNS = (
    "dataset", "entity_id", "sample_id", "session_id", "acquired_at", "content_hash", "path",
    *LABEL_COLUMNS, "fold", "side", "weight",
)  # fmt: skip


def chosen(
    request: TrainingSetRequest, entities: pa.Table, features: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """The entities that were asked for by id, in order, with their features.

    Raises:
        InputError: there are none, one that was asked for is not there, or one comes twice.
    """
    ids = entities["entity_id"]
    where = f"in snapshot {request.as_of}"
    if pc.count_distinct(ids).as_py() != len(ids):
        counted = ids.value_counts()
        twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")[0]
        message = (
            f"entity {twice.as_py()!r} has more than one row {where}: materialise its collection "
            "again, or choose one with datasets"
        )
        raise InputError(message)
    absent = sorted(set(request.entities) - set(ids.to_pylist())) if request.entities else []
    if absent:
        more = f" and {len(absent) - 1} more" if absent[1:] else ""
        message = f"entity {absent[0]!r}{more} is not there {where}; see graindex sql"
        raise InputError(message)
    if not len(ids):
        message = f"no entity fits {where}; loosen the condition, or name other collections"
        raise InputError(message)
    order = pc.sort_indices(entities, [("dataset", "ascending"), ("entity_id", "ascending")])
    if request.entities:
        wanted = pc.is_in(ids.take(order), value_set=pa.array(request.entities))
        order = order.filter(wanted.combine_chunks())
    return entities.take(order), features.take(order)


def labelled(
    request: TrainingSetRequest, entities: pa.Table, labels: pa.Table
) -> tuple[pa.Array, pa.Table]:
    """Places of the entities that have a label, and their rows.

    Raises:
        InputError: none has one.
    """
    found = pc.index_in(
        entities["entity_id"].combine_chunks(), value_set=labels["entity_id"].combine_chunks()
    )
    kept = pa.array(np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False)))
    if not len(kept):
        message = (
            f"none of {entities.num_rows} entities has label {request.label.name!r} in snapshot "
            f"{request.as_of}; see graindex labels"
        )
        raise InputError(message)
    rows = entities.take(kept)
    labels = labels.take(found.take(kept))
    for name in LABEL_COLUMNS:
        rows = rows.append_column(labels.schema.field(name), labels[name])
    return kept, rows


def with_samples(store: "Store", rows: pa.Table, names: Sequence[str], as_of: int) -> pa.Table:
    """The rows with columns of their specimens; those that `samples` lacks are left out."""
    if not names:
        return rows
    samples = store.lake.read("samples", as_of=as_of)
    keys = samples["sample_id"].combine_chunks()
    places = pc.index_in(rows["sample_id"].combine_chunks(), value_set=keys)
    for name in dict.fromkeys(names):
        if name in samples.column_names and name not in rows.column_names:
            rows = rows.append_column(name, samples[name].combine_chunks().take(places))
    return rows


def split(rows: pa.Table, assignment: Assignment) -> pa.Table:
    """The rows with fold, side and weight, as `ROW_COLUMNS`."""
    fold = pa.array(assignment.fold, pa.int64(), mask=np.asarray(assignment.fold) < 0)
    rows = rows.append_column("fold", fold)
    rows = rows.append_column("side", pa.array(np.asarray(assignment.side).tolist(), pa.string()))
    rows = rows.append_column("weight", pa.array(np.ones(rows.num_rows)))
    return rows.select(ROW_COLUMNS)
