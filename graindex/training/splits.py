"""Which rows train and which test: by specimen, session, time or fold, without leaks.

Out of scope: what a group is (`graindex.training.groups`), and dealing groups to parts
(`graindex.training.allocation`).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graindex.training.allocation import allocate
from graindex.training.groups import (
    NONE,
    Codes,
    Grouping,
    Pair,
    SplitError,
    codes_of,
    codes_of_pairs,
    connected,
    count_of,
    group_rows,
    parted,
)
from graindex.training.split_request import Kind, SplitRequest
from graindex.training.time_blocks import blocks_of, chosen_boundaries, refuse_to_cut, times_of

__all__ = ["Assignment", "SplitError", "SplitRequest", "assign", "learning_rows"]

Sides = npt.NDArray[np.str_]
TRAIN, TEST, CROSS, GAP = "train", "test", "cross-validation", "gap"
_TENTHS = 10


@dataclass(frozen=True, eq=False)
class Assignment:
    """A split of N rows.

    Attributes:
        fold: (N,) fold that tests the row, from 0; -1 where it is never tested.
        side: (N,) `train`, `test` or `cross-validation`; `gap` where it takes no part.
        groups: (N,) number of the group that the row stays with.
        notes: what a person should know.
    """

    fold: Codes
    side: Sides
    groups: Codes
    notes: tuple[str, ...]


def assign(request: SplitRequest, rows: pa.Table, duplicates: Sequence[Pair] = ()) -> Assignment:
    """Split rows; the same rows in any order come to the same sides.

    Args:
        request: how.
        rows: columns `dataset, entity_id, sample_id, session_id`, `content_hash` where rows share
            images, where needed `acquired_at`, `label_number` and `label_text`, and the columns of
            `samples` that are asked for.
        duplicates: pairs of `entity_id` that show the same.

    Raises:
        SplitError: it would leak; there are fewer groups than parts; a row comes twice, or a
            column is not there.
    """
    if not rows.num_rows or pc.count_distinct(rows["entity_id"]).as_py() != rows.num_rows:
        which = "an entity stands more than once among the" if rows.num_rows else "there are no"
        message = f"{which} rows to be split"
        raise SplitError(message)
    order = pc.sort_indices(rows, [("dataset", "ascending"), ("entity_id", "ascending")])
    sorted_rows = rows.take(order).combine_chunks()
    by = (*request.by, *request.also_by)
    groups = group_rows(sorted_rows, by, duplicates, allow_leakage=request.allow_leakage)
    split = _SPLITS[request.kind](request, sorted_rows, duplicates, groups)
    notes = (*groups.notes, *split.notes, *_leaks(split, sorted_rows, duplicates))
    back = np.argsort(order.to_numpy())
    return Assignment(split.fold[back], split.side[back], split.groups[back], notes)


def learning_rows(request: SplitRequest, rows: pa.Table, fold: int) -> npt.NDArray[np.bool_]:
    """Rows that what is tested on a fold may learn from.

    In time that is what lies before the fold, with the gap; else all that is not tested by it.

    Args:
        request: the split.
        rows: columns `fold` (null or -1 where never tested), `side` and, in time, `acquired_at`.
        fold: the fold.
    """
    tested = pc.fill_null(rows["fold"], NONE).to_numpy() == fold
    part = pc.is_in(rows["side"], value_set=pa.array([TRAIN, CROSS])).to_numpy()
    learns = np.asarray(part & ~tested)
    if request.kind == "time" and tested.any():
        at = times_of(rows)
        learns &= (at < at[tested].min()) & (at + np.timedelta64(request.gap) <= at[tested].min())
    return learns


def _kfold(
    request: SplitRequest, rows: pa.Table, _: Sequence[Pair], groups: Grouping
) -> Assignment:
    _enough(request, rows, groups.count, request.folds)
    shares = np.full(request.folds, 1 / request.folds)
    fold = _dealt(request, rows, groups, shares)
    return Assignment(fold, _all(CROSS, fold), groups.codes, _balance(rows, fold))


def _leave_one_out(
    request: SplitRequest, rows: pa.Table, _: Sequence[Pair], groups: Grouping
) -> Assignment:
    _enough(request, rows, groups.count, 2)
    return Assignment(groups.codes, _all(CROSS, groups.codes), groups.codes, ())


def _holdout(
    request: SplitRequest, rows: pa.Table, _: Sequence[Pair], groups: Grouping
) -> Assignment:
    _enough(request, rows, groups.count, 2)
    shares = np.array([1 - request.test_fraction, request.test_fraction])
    tested = _dealt(request, rows, groups, shares)
    fold, side = tested - 1, np.where(tested == 1, TEST, TRAIN)
    told = f"{tested.sum()} of {len(tested)} rows are tested"
    return Assignment(fold, side, groups.codes, (told, *_balance(rows, tested)))


def _none(request: SplitRequest, rows: pa.Table, _: Sequence[Pair], groups: Grouping) -> Assignment:
    fold = np.full(rows.num_rows, NONE)
    return Assignment(fold, _all(TRAIN, fold), groups.codes, ())


def _time(
    request: SplitRequest, rows: pa.Table, duplicates: Sequence[Pair], groups: Grouping
) -> Assignment:
    at = times_of(rows)
    kinds = {
        "specimen": codes_of(rows, ("sample_id",)),
        "session": codes_of(rows, ("session_id",)),
        "near-duplicate": codes_of_pairs(rows, duplicates),
        "group": groups.codes,
    }
    united = connected(tuple(kinds.values()))
    whole = np.arange(len(at)) if request.allow_leakage else united
    boundaries = request.boundaries
    if not boundaries:
        count = request.blocks
        targets = [1 - request.test_fraction] if count == 2 else np.arange(1, count) / count
        boundaries = tuple(chosen_boundaries(at, whole, list(targets)))
    blocks = blocks_of(at, boundaries)
    empty = sorted(set(range(len(boundaries) + 1)) - set(blocks.tolist()))
    if empty:
        edges = (at.min().item(), *boundaries, at.max().item())
        message = (
            f"no row was acquired from {edges[empty[0]]} to {edges[empty[0] + 1]}, a block of the "
            f"split; the rows are of {edges[0]} to {edges[-1]}: choose other boundaries"
        )
        raise SplitError(message)
    if not request.allow_leakage:
        refuse_to_cut(rows, at, blocks, kinds, united)
    side = np.where(blocks == 0, TRAIN, CROSS if len(boundaries) > 1 else TEST)
    first = at[blocks == 1].min()
    if len(boundaries) == 1:
        side = np.where((blocks == 0) & (at + np.timedelta64(request.gap) > first), GAP, side)
    if TRAIN not in side or (at[side == TRAIN] + np.timedelta64(request.gap) > first).all():
        message = f"a gap of {request.gap} leaves nothing to learn from before {first.item()}"
        raise SplitError(message)
    told = f"cut at {', '.join(str(moment) for moment in boundaries)}"
    return Assignment(blocks - 1, side, united, (told, *_balance(rows, blocks)))


def _column(
    request: SplitRequest, rows: pa.Table, duplicates: Sequence[Pair], groups: Grouping
) -> Assignment:
    name = str(request.column)
    codes_of(rows, (name,))
    values = [v.lower() if isinstance(v, str) else v for v in rows[name].to_pylist()]
    if set(values) <= {TRAIN, TEST}:
        parts = np.array([int(value == TEST) for value in values])
        fold, side = parts - 1, np.where(parts == 1, TEST, TRAIN)
    elif all(isinstance(v, int | float) and v >= 0 and v == int(v) for v in values):
        fold = parts = np.unique(np.array(values, np.int64), return_inverse=True)[1]
        side = _all(CROSS, fold)
    else:
        found = next(v for v in values if v not in {TRAIN, TEST} and not isinstance(v, int | float))
        message = f"column {name!r} says {found!r} where train, test or the number of a fold is due"
        raise SplitError(message)
    across = parted(groups.codes, parts)
    if len(across) and not request.allow_leakage:
        first = rows["entity_id"][int(np.flatnonzero(groups.codes == across[0])[0])].as_py()
        message = (
            f"the split of column {name!r} would leak: {len(across)} specimens or near-duplicates "
            f"lie on several sides, first that of {first}; correct it, or allow leakage"
        )
        raise SplitError(message)
    return Assignment(fold, side, groups.codes, _balance(rows, parts))


_Split = Callable[[SplitRequest, pa.Table, Sequence[Pair], Grouping], Assignment]
_SPLITS: dict[Kind, _Split] = {
    "kfold": _kfold,
    "leave-one-out": _leave_one_out,
    "holdout": _holdout,
    "time": _time,
    "column": _column,
    "none": _none,
}


def _all(side: str, fold: Codes) -> Sides:
    return np.full(len(fold), side)


def _enough(request: SplitRequest, rows: pa.Table, groups: int, parts: int) -> None:
    if groups >= parts:
        return
    by = " and ".join((*request.by, *request.also_by))
    what = f"{parts} folds" if request.kind == "kfold" else f"a split of kind {request.kind}"
    message = (
        f"{what} of {groups} groups: the {rows.num_rows} rows unite to no more by {by}, specimen "
        f"and near-duplicates; ask for {'fewer folds' if groups > 1 else 'more rows'} or another by"
    )
    raise SplitError(message)


def _dealt(
    request: SplitRequest, rows: pa.Table, groups: Grouping, shares: npt.NDArray[np.float64]
) -> Codes:
    """(N,) part that each row's group is dealt to."""
    classes = _classes(rows) if request.balanced else np.zeros(rows.num_rows, np.int64)
    if count_of(classes) == 0:
        message = "a balanced split needs labels: label_text or label_number in each row"
        raise SplitError(message)
    counts = np.zeros((groups.count, count_of(classes)), np.int64)
    np.add.at(counts, (groups.codes, classes), 1)
    parts = allocate(counts, shares, _turn(request, rows, groups), balanced=request.balanced)
    return parts[groups.codes]


def _turn(request: SplitRequest, rows: pa.Table, groups: Grouping) -> Codes:
    """The groups, shuffled by seed and the key of their first row alone."""
    first = rows.take(pa.array(np.unique(groups.codes, return_index=True)[1]))
    names = zip(first["dataset"].to_pylist(), first["entity_id"].to_pylist(), strict=True)
    drawn = [hashlib.sha256(f"{request.seed} {d} {e}".encode()).digest() for d, e in names]
    return np.array(sorted(range(len(drawn)), key=drawn.__getitem__), np.int64)


def _label_column(rows: pa.Table) -> str | None:
    names = ("label_text", "label_number")
    there = (name for name in names if name in rows.column_names and not rows[name].null_count)
    return next(there, None)


def _classes(rows: pa.Table) -> Codes:
    """(N,) class of each row: its text, or the tenth in which its number lies; `NONE` without."""
    name = _label_column(rows)
    if name is None:
        return np.full(rows.num_rows, NONE)
    if name == "label_text":
        return codes_of(rows, (name,))
    numbers = rows[name].combine_chunks().to_numpy()
    edges = np.quantile(numbers, np.arange(1, _TENTHS) / _TENTHS)
    return np.unique(np.searchsorted(edges, numbers), return_inverse=True)[1]


def _balance(rows: pa.Table, parts: Codes) -> tuple[str, ...]:
    """How even parts are in rows and in classes."""
    sizes = np.bincount(parts)
    notes = [f"{len(sizes)} parts of {sizes.min()} to {sizes.max()} rows"]
    classes = _classes(rows)
    if 1 < count_of(classes) < rows.num_rows:  # else each row has a label of its own
        what = "classes" if _label_column(rows) == "label_text" else "tenths"
        table = np.zeros((len(sizes), count_of(classes)))
        np.add.at(table, (parts, classes), 1)
        apart = np.abs(table / sizes[:, None] - table.sum(axis=0) / table.sum()).max()
        notes[0] += f", {what} up to {100 * apart:.0f} points from their share of all rows"
        if missing := int((table == 0).any(axis=0).sum()):
            notes.append(f"{missing} of {count_of(classes)} {what} are absent from a part")
    return tuple(notes)


def _leaks(split: Assignment, rows: pa.Table, duplicates: Sequence[Pair]) -> tuple[str, ...]:
    """What is parted, where that was allowed."""
    sides = np.unique(split.side, return_inverse=True)[1] * (count_of(split.fold) + 1) + split.fold
    sides = np.where(split.side == GAP, NONE, sides + 1)
    kinds = {
        "specimens": codes_of(rows, ("sample_id",)),
        "near-duplicates": codes_of_pairs(rows, duplicates),
    }
    counts = {what: len(parted(codes, sides)) for what, codes in kinds.items()}
    return tuple(f"leakage: {n} {what} lie on several sides" for what, n in counts.items() if n)
