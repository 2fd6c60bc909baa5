"""A training set built again beside the rows that were kept of it.

Out of scope: building and keeping (`graindex.training.registered`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from graindex.forget.withdrawn import WithdrawnRows
from graindex.training.fingerprint import column_digests
from graindex.training.training_set import TrainingSet

Source = Literal["rebuilt", "stored", "gone"]
_OF_THE_SPLIT = frozenset({"fold", "side", "session_id"})
"""Columns that follow from which other rows there are."""

_SHOWN = 5


@dataclass(frozen=True)
class Comparison:
    """What became of a kept training set.

    Attributes:
        training_set_id: its key.
        source: what was compared with the kept hashes: the set built again, the stored file where
            the snapshot was removed, or nothing where that is gone too.
        equal: whether it is the same in every value.
        row_count: rows that were kept.
        withdrawn: rows that are gone since their image was withdrawn.
        lost: withdrawn images and volumes that rows were of, or rested on.
        missing: other rows that are gone.
        added: rows that were not there.
        changed: rows whose features or label changed.
        columns: columns in which the remaining rows differ.
        notes: why it was not built again, or by other code.
    """

    training_set_id: str
    source: Source
    equal: bool
    row_count: int
    withdrawn: tuple[str, ...] = ()
    lost: tuple[WithdrawnRows, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rest_equal(self) -> bool:
        """Whether every row that was not withdrawn still has its features and label."""
        excused = _OF_THE_SPLIT if self.withdrawn or self.lost else frozenset()
        return not (self.missing or self.added or self.changed or set(self.columns) - excused)

    def lines(self) -> list[str]:
        """The same for people."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        how = {
            "rebuilt": "built again from its snapshot",
            "stored": "read from its stored file",
            "gone": "its snapshot and its stored file are gone",
        }[self.source]
        verdict = "equal in every value" if self.equal else "not the same"
        yield f"training set {self.training_set_id}: {how}, {self.row_count} rows: {verdict}"
        yield from self.notes
        if self.lost:
            rows = sum(one.row_count for one in self.lost)
            yield f"{rows} rows withdrawn since: {_few([one.told for one in self.lost])}"
        told = {
            "withdrawn since": self.withdrawn,
            "gone though not withdrawn": self.missing,
            "that were not there": self.added,
            "with other features or another label": self.changed,
        }
        for what, ids in told.items():
            if ids:
                yield f"{len(ids)} rows {what}: {_few(ids)}"
        if self.columns:
            yield f"{len(self.columns)} columns differ: {_few(self.columns)}"
        if not self.equal and self.rest_equal:
            yield "all other rows have the same features and labels"


def _few(names: Sequence[str]) -> str:
    more = f", … {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def compare(
    kept: pa.Table,
    fingerprint: str,
    found: TrainingSet,
    stored: pa.Table | None,
    withdrawn: Collection[str],
    *,
    source: Source,
    notes: Sequence[str] = (),
    lost: Sequence[WithdrawnRows] = (),
) -> Comparison:
    """Compare a training set with what was kept of it.

    Args:
        kept: its rows of the table `training_rows`.
        fingerprint: as it was kept.
        found: the set as it is found now.
        stored: its table as it was kept; None where that is gone.
        withdrawn: ids and content hashes of withdrawn images and volumes.
        source: where `found` comes from.
        notes: what else to say.
        lost: what the set lost by withdrawals: rows of it are not among `kept`.
    """
    before = _by_id(kept["entity_id"], kept["row_hash"].to_pylist())
    now = _by_id(found.rows["entity_id"], found.row_hashes)
    excused = withdrawn_rows(kept, withdrawn)
    return Comparison(
        training_set_id=fingerprint[:16],
        source=source,
        equal=found.fingerprint == fingerprint,
        row_count=kept.num_rows + sum(one.row_count for one in lost),
        lost=tuple(lost),
        withdrawn=tuple(key for key in before if key not in now and key in excused),
        missing=tuple(key for key in before if key not in now and key not in excused),
        added=tuple(key for key in now if key not in before),
        changed=tuple(key for key, digest in now.items() if before.get(key, digest) != digest),
        columns=() if stored is None else differing_columns(stored, found.table),
        notes=tuple(notes),
    )


def withdrawn_rows(kept: pa.Table, withdrawn: Collection[str]) -> set[str]:
    """Rows whose image or volume was withdrawn, by entity."""
    ids, hashes = kept["entity_id"].to_pylist(), kept["content_hash"].to_pylist()
    return {
        key
        for key, content in zip(ids, hashes, strict=True)
        if key in withdrawn or content in withdrawn
    }


def _by_id(ids: pa.ChunkedArray, hashes: Sequence[str]) -> Mapping[str, str]:
    return dict(zip(ids.to_pylist(), hashes, strict=True))


def differing_columns(one: pa.Table, other: pa.Table) -> tuple[str, ...]:
    """Columns in which two tables differ on the entities that both have, or that one lacks."""
    first, second = _common(one, other), _common(other, one)
    a, b = column_digests(first), column_digests(second)
    return tuple(name for name in (*a, *(set(b) - set(a))) if a.get(name) != b.get(name))


def _common(rows: pa.Table, others: pa.Table) -> pa.Table:
    ids = others["entity_id"].combine_chunks()
    return rows.filter(pc.is_in(rows["entity_id"], value_set=ids))
