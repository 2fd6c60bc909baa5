"""Labels of entities as they stood: from statements and from specimens, not looking ahead.

Out of scope: bringing statements into the store (`graindex.training.statements`).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graindex.entities import EntityKind
from graindex.lake import AsOf
from graindex.training.label_files import LabelError
from graindex.training.label_levels import JOINED, join
from graindex.training.label_request import LabelRequest
from graindex.training.label_sources import Level, keys_of, levels_of, moment
from graindex.training.point_in_time import Times

if TYPE_CHECKING:
    from graindex.store import Store

__all__ = ["LabelError", "LabelRequest", "label_notes", "labels_of"]

_NOTES = b"notes"
_SHOWN = 3


def labels_of(
    store: "Store",
    request: LabelRequest | str,
    entities: pa.Table,
    kind: EntityKind,
    as_of: AsOf | None = None,
) -> pa.Table:
    """Label of each entity that has one, as it stood.

    Statements of the entity come first, then those of what it lies in, then those of its specimen,
    then what was measured on a particle, then the column of `samples` that is called as the label.
    Nothing counts that was recorded, or measured, after the snapshot.

    Args:
        store: the store.
        request: the label, or its name.
        entities: rows of `graindex.entities.entity_rows`.
        kind: what they are.
        as_of: snapshot or time; now when None.

    Returns:
        Columns `entity_id, label_number, label_text, labeller, measured_at`, in the order of
        `entities`. What a person should know is in the schema: see `label_notes`.

    Raises:
        LabelError: the label is unknown, cannot be of these entities, holds numbers and texts, is
            no number where one is needed; or an entity comes twice.
        QueryError: no snapshot is as old as `as_of`.
    """
    if isinstance(request, str):
        request = LabelRequest(name=request)
    _each_once(entities)
    snapshot, made = moment(store, as_of)
    levels = levels_of(store, request, kind, entities, snapshot)
    levels, notes = _that_count(request, levels, made)
    at = _instants(entities["acquired_at"], request.zone)
    labels, contested, past = _joined(store, request, kind, entities, snapshot, levels, at)
    ids = entities["entity_id"].take(labels["row"])
    labels = labels.drop_columns("row").add_column(0, "entity_id", ids)
    dated = any(rows["measured_at"].null_count < rows.num_rows for _, rows in levels)
    notes += _counts(request, at if dated else at[:0], contested, past)
    labels = _transformed(request, labels.combine_chunks())
    return labels.replace_schema_metadata({_NOTES: json.dumps(notes)})


def _joined(
    store: "Store",
    request: LabelRequest,
    kind: EntityKind,
    entities: pa.Table,
    snapshot: int,
    levels: Sequence[Level],
    at: Times,
) -> tuple[pa.Table, int, int]:
    """Labels of `JOINED` in order, and how many have none: contested, or nothing at their time."""
    rows = np.arange(entities.num_rows)
    parts, contested, silent = [JOINED.empty_table()], rows[:0], rows[:0]
    for kinds, statements in levels:
        keys = keys_of(store, kinds, kind, entities, snapshot)
        part = join(statements, keys, at, rows, request)
        parts.append(part.labels)
        contested = np.concatenate((contested, part.contested))
        silent = np.concatenate((silent, part.silent))
        rows = np.setdiff1d(rows, np.concatenate((part.labels["row"].to_numpy(), contested)))
    past = np.intersect1d(silent, rows)
    return pa.concat_tables(parts).sort_by("row"), len(contested), len(past)


def label_notes(labels: pa.Table) -> tuple[str, ...]:
    """What a person should know about labels that `labels_of` gave, a line each."""
    return tuple(json.loads((labels.schema.metadata or {}).get(_NOTES, b"[]")))


def _each_once(entities: pa.Table) -> None:
    ids = entities["entity_id"]
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counted = pc.value_counts(ids)
    twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    message = f"entity {twice[0].as_py()!r} stands more than once among those to be labelled"
    raise LabelError(message)


def _that_count(
    request: LabelRequest, levels: Sequence[Level], made: datetime
) -> tuple[list[Level], list[str]]:
    """Statements of the labellers who count that were not measured after the snapshot.

    Raises:
        LabelError: none is left, or they hold numbers and texts.
    """
    notes: list[str] = []
    counted = set(request.labellers.counted)
    if counted:
        known = {who for _, rows in levels for who in pc.unique(rows["labeller"]).to_pylist()}
        if not counted & known:
            message = (
                f"label {request.name!r} is stated by {', '.join(sorted(known))}, "
                f"not by {', '.join(sorted(counted))}"
            )
            raise LabelError(message)
        notes += [f"labeller {who} states nothing of it" for who in sorted(counted - known)]
        only = pa.array(sorted(counted))
        levels = [
            (k, rows.filter(pc.is_in(rows["labeller"], value_set=only))) for k, rows in levels
        ]
    limit = pa.scalar(made, pa.timestamp("us", "UTC"))
    kept, later = [], 0
    for kinds, rows in levels:
        then = rows.filter(pc.fill_null(pc.less_equal(rows["measured_at"], limit), True))
        later += rows.num_rows - then.num_rows
        kept += [(kinds, then)] if then.num_rows else []
    if later:
        notes.append(f"{later} statements measured after the snapshot are left out")
    _one_type(request, kept)
    return kept, notes


def _one_type(request: LabelRequest, levels: Sequence[Level]) -> None:
    numbers, texts = (
        sum(rows.num_rows - rows[column].null_count for _, rows in levels)
        for column in ("label_number", "label_text")
    )
    if numbers and texts:
        message = (
            f"label {request.name!r} is a number in {numbers} statements and a text in {texts}; "
            "choose with `of` what it is of, or give one of them another name"
        )
        raise LabelError(message)
    needs = {"mean", "median"} & {request.labellers.rule} or {request.transform} - {None}
    if texts and needs:
        message = f"label {request.name!r} is a class; {needs.pop()} needs numbers"
        raise LabelError(message)


def _instants(acquired: pa.ChunkedArray, zone: str) -> Times:
    """Local times as instants, datetime64[us] in UTC."""
    local = acquired.cast(pa.timestamp("us"))
    known = pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="earliest")
    return np.asarray(known.cast(pa.timestamp("us")).to_numpy(), "datetime64[us]")


def _transformed(request: LabelRequest, labels: pa.Table) -> pa.Table:
    numbers = labels["label_number"]
    known = pc.is_finite(numbers)  # null where the label is a class
    _refuse(request, labels, pc.invert(known), "is not finite for", "correct or withdraw them")
    if request.transform is None:
        return labels
    low = pc.less_equal(numbers, 0)
    _refuse(request, labels, low, "is not above zero for", "log10 needs it to be")
    place = labels.schema.get_field_index("label_number")
    numbers = pa.array(np.log10(labels["label_number"].to_numpy()))
    return labels.set_column(place, "label_number", numbers)


def _refuse(
    request: LabelRequest, labels: pa.Table, wrong: pa.ChunkedArray, what: str, advice: str
) -> None:
    """Refuse labels that a mask names.

    Raises:
        LabelError: there are any.
    """
    rows = labels.filter(wrong)
    if not rows.num_rows:
        return
    first = ", ".join(rows["entity_id"].slice(0, _SHOWN).to_pylist())
    more = ", …" if rows.num_rows > _SHOWN else ""
    message = f"label {request.name!r} {what} {rows.num_rows} entities ({first}{more}); {advice}"
    raise LabelError(message)


def _counts(request: LabelRequest, at: Times, contested: int, past: int) -> list[str]:
    unknown = int(np.isnat(at).sum())
    notes = []
    if contested:
        notes.append(f"{contested} entities have no label: their labellers do not agree")
    if past:
        notes.append(f"{past} entities have no label: none of their statements holds at their time")
    if unknown and request.unknown_time == "timeless" and request.timing != "any":
        notes.append(
            f"{unknown} entities without acquisition time take timeless statements only; "
            "unknown_time latest takes the latest"
        )
    return notes
