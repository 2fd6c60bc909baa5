"""Which snapshots must stay, and why: tags, models, training sets, and those that are young.

Out of scope: removing the others (`graindex.history.garbage`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from graindex.history.snapshots import Snapshot, snapshots

if TYPE_CHECKING:
    from graindex.store import Store

Reasons = dict[int, list[str]]


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept although nothing needs it.

    Attributes:
        keep: snapshots younger than this.
        last: at least so many of the newest snapshots.
        grace: snapshots that were the newest one within this time, and files that are younger:
            another process may be at work on them.
    """

    keep: timedelta = timedelta(days=30)
    last: int = 1
    grace: timedelta = timedelta(hours=1)


def needs(store: "Store") -> Reasons:
    """Snapshots that a tag, a training set or a model names, with the reasons."""
    reasons: Reasons = {}
    for row in store.lake.read("tags", columns=("tag", "lake_snapshot")).to_pylist():
        reasons.setdefault(row["lake_snapshot"], []).append(f"tag {row['tag']}")
    of_model = ("model", "model_version", "lake_snapshot")
    for row in store.lake.read("model_runs", columns=of_model).to_pylist():
        name = f"model {row['model']}@{row['model_version']}"
        reasons.setdefault(row["lake_snapshot"], []).append(name)
    of_set = ("training_set_id", "lake_snapshot")
    for row in store.lake.read("training_sets", columns=of_set).to_pylist():
        name = f"training set {row['training_set_id']}"
        reasons.setdefault(row["lake_snapshot"], []).append(name)
    return reasons


def retained(store: "Store", retention: Retention) -> Reasons:
    """Every snapshot that stays, with all reasons."""
    made = snapshots(store.lake)
    reasons = {number: list(why) for number, why in needs(store).items()}
    for number, why in by_age(made, retention):
        reasons.setdefault(number, []).append(why)
    there = {snapshot.number for snapshot in made}
    return {number: why for number, why in sorted(reasons.items()) if number in there}


def by_age(made: Sequence[Snapshot], retention: Retention) -> Iterable[tuple[int, str]]:
    """Snapshots that stay for their age, with the reason; one that was current lately is young."""
    now = datetime.now(UTC)
    newest_first = sorted(made, key=lambda snapshot: snapshot.number, reverse=True)
    yield newest_first[0].number, "newest"
    if retention.last > 1:
        for snapshot in newest_first[: retention.last]:
            yield snapshot.number, f"one of the last {retention.last}"
    replaced_at = now
    for snapshot in newest_first:
        if now - snapshot.made_at < retention.keep:
            yield snapshot.number, f"younger than {told(retention.keep)}"
        elif replaced_at > now - retention.grace:
            yield snapshot.number, f"current within {told(retention.grace)}"
        replaced_at = snapshot.made_at


def told(span: timedelta) -> str:
    """A span of time in words."""
    minutes = span.total_seconds() / 60
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= size:
            return f"{minutes / size:g} {unit}{'' if minutes == size else 's'}"
    return f"{minutes:g} minutes"


def states(made: Iterable[Snapshot], table: str, numbers: Iterable[int]) -> list[int]:
    """Those of some snapshots that, together, show every state that a table had at any of them.

    A snapshot is left out where the table surely stood as at the one of them before.
    """
    changed_by = {snapshot.number: table in snapshot.tables for snapshot in made}
    chosen: list[int] = []
    before: int | None = None
    for number in sorted(numbers):
        since = range(number if before is None else before + 1, number + 1)
        if before is None or any(changed_by.get(one, True) for one in since):
            chosen.append(number)
        before = number
    return chosen
