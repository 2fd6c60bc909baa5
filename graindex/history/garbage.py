"""Removal of what no kept snapshot needs: snapshots, their files, vectors, thumbnails, volumes.

Nothing goes that a tag, a training set or a model needs, or that is young: another process may be
at work on it.

Out of scope: which snapshots stay (`graindex.history.pins`), and withdrawing images.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from graindex.history.lake_garbage import LakeGarbage
from graindex.history.pins import Reasons, Retention, retained
from graindex.history.snapshots import Snapshot, snapshots
from graindex.history.stored_files import named_addresses
from graindex.history.vector_garbage import VectorGarbage

if TYPE_CHECKING:
    from graindex.store import Store

# A volume is whole long before the row that names it: its other members are read meanwhile.
_VOLUME_GRACE = 24


@dataclass
class Tally:
    """Counts and bytes by kind of thing."""

    items: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, what: str, count: int, size_bytes: int) -> None:
        """Count things."""
        before = self.items.get(what, (0, 0))
        self.items[what] = (before[0] + count, before[1] + size_bytes)


@dataclass(frozen=True)
class Garbage:
    """What was removed, or would be.

    Attributes:
        removed: number and bytes by kind of thing.
        snapshots: numbers of the snapshots that go.
        kept: numbers of those that stay, with the reasons.
        lost: vectors that kept snapshots name and that were nowhere already before.
    """

    removed: dict[str, tuple[int, int]]
    snapshots: tuple[int, ...]
    kept: Reasons
    lost: int


def collect_garbage(
    store: "Store", retention: Retention | None = None, *, dry_run: bool = True
) -> Garbage:
    """Remove what nothing needs; safe beside processes that read and write.

    Args:
        store: the store.
        retention: what is kept although nothing needs it; 30 days when None.
        dry_run: only say what would go.

    Raises:
        HomeError: the home cannot be written.
        WriteConflictError: other processes kept writing.
    """
    rules = retention or Retention()
    started = datetime.now(UTC)
    tally = Tally()
    with store.vectors.alone():
        vectors = VectorGarbage(store, rules.grace, tally, dry_run=dry_run)
        made, kept = _settled(store, rules, vectors)
        doomed = tuple(snapshot.number for snapshot in made if snapshot.number not in kept)
        tally.add("snapshot", len(doomed), 0)
        _remove_from_lake(store, rules.grace, doomed, tally, dry_run=dry_run)
        vectors.remove()
    _remove_files(store, rules.grace, started, tally, dry_run=dry_run, doomed=doomed)
    return Garbage(tally.items, doomed, kept, vectors.lost)


def _settled(
    store: "Store", rules: Retention, vectors: VectorGarbage
) -> tuple[list[Snapshot], Reasons]:
    """Snapshots and those that stay, once the vectors of these are safe.

    Copying vectors takes time, in which somebody may tag a snapshot that nothing needed before.
    """
    made = snapshots(store.lake)
    kept = retained(store, rules)
    while True:
        vectors.secure(made, kept)
        again = retained(store, rules)
        if again.keys() <= kept.keys():
            return made, kept
        kept |= again


def _remove_from_lake(
    store: "Store", grace: timedelta, doomed: tuple[int, ...], tally: Tally, *, dry_run: bool
) -> None:
    lake = LakeGarbage(store.location, grace)
    try:
        (lake.would_remove if dry_run else lake.remove)(doomed, tally)
    finally:
        lake.close()


def _remove_files(
    store: "Store",
    grace: timedelta,
    started: datetime,
    tally: Tally,
    *,
    dry_run: bool,
    doomed: tuple[int, ...],
) -> None:
    """Remove files and volumes that no row names.

    They are listed before the rows are read, so that one which a row has come to name meanwhile
    is among the named ones.
    """
    before, long_before = started - grace, started - _VOLUME_GRACE * grace
    files = [file for file in store.files.entries() if file.modified_at < before]
    volumes = [each for each in store.volume_store.entries() if each.modified_at < long_before]
    if not files and not volumes:
        return
    made = snapshots(store.lake)
    kept = {snapshot.number for snapshot in made} - set(doomed)
    named = named_addresses(store, made, kept)
    for file in files:
        if file.key not in named and (dry_run or store.files.remove(file, before)):
            tally.add("file", 1, file.size_bytes)
    for volume in volumes:
        if volume.key not in named:
            size = store.volume_store.size_bytes(volume)
            if dry_run or store.volume_store.remove_old(volume, long_before):
                tally.add("volume", 1, size)
