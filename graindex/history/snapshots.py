"""Snapshots of a store: their list, and what a number, a tag or a time stands for.

Out of scope: what must be kept (`graindex.history.pins`), and what differs between two
(`graindex.history.difference`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from graindex.ducklake import CATALOG
from graindex.errors import QueryError

if TYPE_CHECKING:
    from graindex.lake import AsOf, Lake
    from graindex.store import Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the lake.

    Attributes:
        number: its number.
        made_at: when it was made.
        author: who made it; None where nobody said.
        message: what was written.
        tables: names of the tables that it changed.
    """

    number: int
    made_at: datetime
    author: str | None
    message: str | None
    tables: frozenset[str]


def snapshots(lake: "Lake") -> list[Snapshot]:
    """All snapshots that are kept, oldest first."""
    rows = lake.query(
        "SELECT snapshot_id, snapshot_time, author, commit_message, changes "
        f"FROM {CATALOG}.snapshots() ORDER BY snapshot_id"
    ).to_pylist()
    names = _table_names(lake)
    return [
        Snapshot(
            row["snapshot_id"],
            row["snapshot_time"],
            row["author"],
            row["commit_message"],
            _changed(dict(row["changes"] or ()), names),
        )
        for row in rows
    ]


def _table_names(lake: "Lake") -> dict[str, str]:
    rows = lake.query(f"SELECT table_id, table_name FROM ducklake_table_info('{CATALOG}')")
    return {str(row["table_id"]): row["table_name"] for row in rows.to_pylist()}


def _changed(changes: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> frozenset[str]:
    """Tables that a snapshot changed; it names new ones as `schema.table`, old ones by number."""
    told = (one for kind, several in changes.items() if "schema" not in kind for one in several)
    return frozenset(names.get(one, one.rpartition(".")[2].strip('"')) for one in told)


def number_at(lake: "Lake", as_of: "AsOf") -> int:
    """Number of the snapshot that a number or a time stands for.

    Raises:
        QueryError: there is none: it was never made, it is younger than the time, or it was
            removed.
    """
    kept = _times(lake)
    if isinstance(as_of, datetime):
        return _number_at_time(kept, as_of.astimezone())
    if as_of in kept:
        return as_of
    numbers = sorted(kept)
    if not 0 <= as_of < numbers[-1]:
        message = f"there is no snapshot {as_of}: the newest is {numbers[-1]}"
        raise QueryError(message)
    message = f"snapshot {as_of} was removed; {_neighbours(kept, as_of)}"
    raise QueryError(message)


def _number_at_time(kept: Mapping[int, datetime], moment: datetime) -> int:
    before = max((number for number, made in kept.items() if made <= moment), default=None)
    after = min((number for number, made in kept.items() if made > moment), default=None)
    if before is None:
        first = min(kept)
        message = (
            f"nothing is known of {moment.isoformat()}: the first snapshot that is kept is "
            f"{first}, of {kept[first].isoformat(timespec='seconds')}"
        )
        raise QueryError(message)
    # Numbers follow one another, so a gap is snapshots that were removed, any of which may have
    # been the state at that time.
    if after is not None and after > before + 1:
        message = f"what stood at {moment.isoformat()} was removed; {_neighbours(kept, before + 1)}"
        raise QueryError(message)
    return before


def _neighbours(kept: Mapping[int, datetime], number: int) -> str:
    around = [
        max((one for one in kept if one < number), default=None),
        min((one for one in kept if one > number), default=None),
    ]
    told = " and ".join(
        f"{one} ({kept[one].isoformat(timespec='seconds')})" for one in around if one is not None
    )
    return f"the nearest that are kept are {told}"


def _times(lake: "Lake") -> dict[int, datetime]:
    rows = lake.query(f"SELECT snapshot_id, snapshot_time FROM {CATALOG}.snapshots()")
    numbers, times = (rows[name].to_pylist() for name in ("snapshot_id", "snapshot_time"))
    return dict(zip(numbers, times, strict=True))


def resolve(store: "Store", what: "str | AsOf | None") -> int:
    """Number of a snapshot.

    Args:
        store: the store.
        what: a number, a tag, a time (ISO 8601; local where it names no zone), each also as text;
            the newest snapshot when None.

    Raises:
        QueryError: it is none of these, or there is no such snapshot.
    """
    if what is None:
        return store.lake.snapshot()
    if not isinstance(what, str):
        return number_at(store.lake, what)
    if re.fullmatch(r"\d{1,18}", what):
        return number_at(store.lake, int(what))
    tagged = store.lake.read("tags", columns=("tag", "lake_snapshot")).to_pylist()
    for row in tagged:
        if row["tag"] == what:
            return number_at(store.lake, row["lake_snapshot"])
    try:
        moment = datetime.fromisoformat(what)
    except ValueError:
        message = (
            f"{what!r} is neither a snapshot's number, nor a tag, nor a time such as "
            "2026-11-26T18:00; graindex snapshots lists them"
        )
        raise QueryError(message) from None
    return number_at(store.lake, moment)
