"""Rows of a training set from entities, labels and split; each step is a table to a table.

Out of scope: features (`graindex.features`) and reading labels (`graindex.training.labels`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.entities import EntityKind
from graindex.errors import InputError
from graindex.training.groups import BLOCK, SplitError
from graindex.training.request import TrainingSetRequest
from graindex.training.split_request import SplitRequest
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


def described(
    store: "Store", kind: EntityKind, rows: pa.Table, request: SplitRequest, as_of: int
) -> pa.Table:
    """The rows with all that a split goes by: columns of specimens, and blocks of particles.

    Raises:
        SplitError: blocks are asked for of what are no particles of volumes with a voxel size.
    """
    rows = with_samples(store, rows, request.columns, as_of)
    if BLOCK not in request.by:
        return rows
    if kind != "particle":
        raise SplitError(f"a split by block is of particles, and these rows are of a {kind}")
    return rows.append_column(BLOCK, _blocks(store, rows, request.block_um, as_of))


def _blocks(store: "Store", rows: pa.Table, side_um: float, as_of: int) -> pa.Array:
    """Name of the block of each particle: its volume, and where along y and x."""
    ids = rows["entity_id"].combine_chunks()
    names = pa.nulls(len(ids), pa.string())
    for dataset in sorted(pc.unique(rows["dataset"]).to_pylist()):
        columns = ("particle_id", "volume_id", "y_um", "x_um")
        found = store.lake.read("particles_3d", dataset, columns=columns, as_of=as_of)
        y, x = (np.floor(found[c].to_numpy() / side_um) for c in ("y_um", "x_um"))
        own = [
            f"{key} {int(j)} {int(i)}" if np.isfinite(j + i) else None
            for key, j, i in zip(found["volume_id"].to_pylist(), y, x, strict=True)
        ]
        place = pc.index_in(ids, value_set=found["particle_id"].combine_chunks())
        names = pc.coalesce(names, pa.array(own, pa.string()).take(place))
    if names.null_count:
        raise SplitError(
            f"a split by block is of particles of volumes with a voxel size, which "
            f"{names.null_count} of {len(names)} rows are not"
        )
    return names


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
