"""Withdrawing an image: tombstone, rows of all snapshots, vectors, files; finished after a kill.

Every step may be done again: a withdrawal that was cut short is noted down in the home and goes on
where it was. What stays are its rows of `withdrawals`, `withdrawal_effects` and `withdrawn_rows`,
and a row of the quarantine where its original still lies.

Out of scope: what is touched (`graindex.forget.touched`), and Dagster's runs.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from graindex.errors import HomeError, InputError
from graindex.examine import CODE_VERSION
from graindex.forget.erasing import erase, remove_unnamed
from graindex.forget.lake_files import LakeFiles
from graindex.forget.stored import (
    elsewhere,
    erase_vectors,
    remove_copies,
    remove_stored,
    remove_unfinished,
)
from graindex.forget.target import Target, targets_of
from graindex.forget.trained import replaced_files, sets_that_saw
from graindex.forget.verifying import remains
from graindex.forget.withdrawal import Withdrawal, note_down, noted, strike_out
from graindex.forget.withdrawn import reason_of
from graindex.volume_memory import VOLUMES_CODE_VERSION
from schemas.arrow import from_records
from schemas.tables import TABLES

if TYPE_CHECKING:
    from graindex.store import Store

_LOCK = ".forget.lock"
_VACUUM = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None) as connection:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
"""


def withdraw(
    store: "Store", targets: Sequence[Target], reason: str, *, author: str
) -> list[Withdrawal]:
    """Remove images or volumes from everything that the store keeps, and mark what saw them.

    Withdrawals that were cut short before are finished first.

    Args:
        store: a store in a folder.
        targets: what to withdraw.
        reason: why; it stays in the quarantine.
        author: who withdraws.

    Returns:
        What was withdrawn, earlier ones that were finished included.

    Raises:
        InputError: there is no reason.
        HomeError: another withdrawal is at work, the home cannot be written, or something is left.
        WriteConflictError: other processes kept writing.
    """
    if not reason.strip():
        message = "say why it is withdrawn: --reason TEXT"
        raise InputError(message)
    with alone(store):
        earlier = noted(store.location)
        known = {each.target.ids for each in earlier}
        ones = [
            Withdrawal(
                target, reason, author, datetime.now(UTC), tuple(sets_that_saw(store, target))
            )
            for target in targets
            if target.ids not in known
        ]
        for one in ones:
            note_down(store.location, one)
        return [_finish(store, each) for each in (*earlier, *ones)]


@contextmanager
def alone(store: "Store") -> Iterator[None]:
    """Lock out other withdrawals.

    Raises:
        HomeError: another one is at work.
    """
    lock = FileLock(store.location.under(_LOCK), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        message = f"another withdrawal is at work on home {store.location.home!r}: wait for it"
        raise HomeError(message) from error
    try:
        yield
    finally:
        lock.release()


def _finish(store: "Store", withdrawal: Withdrawal) -> Withdrawal:
    with LakeFiles(store.location) as files:
        for step in STEPS:
            withdrawal = step(store, files, withdrawal) or withdrawal
        left = remains(store, files, withdrawal)
    if left:
        message = (
            f"{len(left)} traces of {withdrawal.target.ids[0]} are left, such as {left[0]}: "
            "another process may have written meanwhile; run the same command again"
        )
        raise HomeError(message)
    strike_out(store.location, withdrawal)
    return withdrawal


def _mark(store: "Store", _: LakeFiles, withdrawal: Withdrawal) -> None:
    """Say what was withdrawn and what saw it; from now on the catalogue refuses it."""
    target = withdrawal.target
    records: dict[str, list[dict[str, Any]]] = {
        "withdrawals": [],
        "withdrawal_effects": [],
        "withdrawn_rows": [],
    }
    for key in target.ids:
        identity = {"dataset": target.dataset, "entity_id": key}
        records["withdrawals"].append(
            {
                **identity,
                "entity_kind": target.kind,
                "content_hash": target.content_hash,
                "withdrawn_at": withdrawal.withdrawn_at,
                "author": withdrawal.author,
                "reason": withdrawal.reason,
            }
        )
        for seen in withdrawal.seen:
            of_set = {**identity, "training_set_id": seen.training_set_id}
            records["withdrawn_rows"].append({**of_set, "row_count": seen.row_count})
            records["withdrawal_effects"] += [
                {**of_set, "model": name, "model_version": version} for name, version in seen.models
            ]
    tables = {name: from_records(TABLES[name], rows) for name, rows in records.items()}
    store.lake.put(tables, author=withdrawal.author, message=f"withdrawn from {target.dataset}")


def _quarantine(store: "Store", _: LakeFiles, withdrawal: Withdrawal) -> None:
    """Say in the quarantine why originals that are not the store's are refused from now on."""
    target = withdrawal.target
    there = set(elsewhere(store, target))
    rows = store.lake.read("quarantine", target.dataset)
    own = [row for row in rows.to_pylist() if row["content_hash"] in target.contents]
    places = {row["path"]: row["uri"] for row in own}
    table = "micrographs" if target.kind == "micrograph" else "volumes"
    for row in store.lake.read(table, target.dataset).to_pylist():
        if row[f"{target.kind}_id"] in target.ids and row["uri"] in there:
            places[row["path"]] = row["uri"]
    told = {
        "dataset": target.dataset,
        "reason": reason_of(withdrawal.withdrawn_at, withdrawal.reason),
        "code_version": CODE_VERSION if target.kind == "micrograph" else VOLUMES_CODE_VERSION,
    }
    kept = [row for row in rows.to_pylist() if row["path"] not in places]
    records = [*kept, *({**told, "path": path, "uri": uri} for path, uri in places.items())]
    store.lake.replace(
        {"quarantine": from_records(TABLES["quarantine"], records)},
        target.dataset,
        author=withdrawal.author,
        message=f"withdrawn from {target.dataset}",
    )


def _replace_files(store: "Store", _: LakeFiles, withdrawal: Withdrawal) -> Withdrawal:
    """Write files of training sets and models without it, and note the old ones down."""
    found = replaced_files(store, withdrawal.target, withdrawal.seen)
    changed = withdrawal.with_replaced(found)
    note_down(store.location, changed)
    return changed


def _erase_rows(store: "Store", files: LakeFiles, withdrawal: Withdrawal) -> None:
    marks = withdrawal.target.marks(withdrawal.replaced)
    message = f"withdrawn from {withdrawal.target.dataset}, all snapshots"
    erase(files, marks, author=withdrawal.author, message=message)
    remove_unnamed(files, marks)


def _erase_vectors(store: "Store", files: LakeFiles, withdrawal: Withdrawal) -> None:
    erase_vectors(store, files, withdrawal.target)


def _remove_files(store: "Store", _: LakeFiles, withdrawal: Withdrawal) -> None:
    target = withdrawal.target
    remove_unfinished(store, target)
    remove_stored(store, (*target.addresses, *withdrawal.replaced))
    remove_copies(store, target)


def _vacuum(store: "Store", _files: LakeFiles, _: Withdrawal) -> None:
    """Overwrite what deleted rows left in the metadata.

    In a process of its own: two copies of SQLite in one process break each other's locks.
    """
    catalog = Path(store.location.catalog.removeprefix("sqlite:"))
    done = subprocess.run(
        [sys.executable, "-c", _VACUUM, str(catalog)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        message = f"{catalog} cannot be compacted ({why[0]}): run the same command again"
        raise HomeError(message)


Step = Callable[["Store", LakeFiles, Withdrawal], Withdrawal | None]

STEPS: tuple[Step, ...] = (
    _mark,
    _quarantine,
    _replace_files,
    _erase_rows,
    _erase_vectors,
    _remove_files,
    _vacuum,
)
"""In this order; each may be done again."""

__all__ = ["STEPS", "alone", "targets_of", "withdraw"]
