"""Dagster's runs of a collection removed, with the pictures and rows that their events hold.

Out of scope: the store (`graindex.forget`).
"""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable

from graindex.errors import CollectionError
from graindex.location import Location
from orchestration.instance import instance_folder, open_instance
from orchestration.jobs import PARTITION_TAG

_AT_WORK = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def refuse_at_work(location: Location) -> None:
    """Make sure that no run is at work, which would write what is being withdrawn.

    Raises:
        CollectionError: one is.
    """
    with open_instance(location) as instance:
        runs = instance.get_runs(RunsFilter(statuses=_AT_WORK))
    if runs:
        part = runs[0].tags.get(PARTITION_TAG, runs[0].job_name)
        message = f"run {runs[0].run_id} is at work on {part!r}: wait for it, or cancel it"
        raise CollectionError(message)


def runs_of(location: Location, datasets: Iterable[str], ids: Sequence[str]) -> list[str]:
    """Runs of some collections, and others whose events name one of some images."""
    wanted = set(datasets)
    with open_instance(location) as instance:
        runs = [run.run_id for run in instance.get_runs() if run.tags.get(PARTITION_TAG) in wanted]
    needles = [key.encode() for key in ids]
    naming = [
        path.stem
        for path in _event_files(location)
        if path.stem not in runs and _names_one(path, needles)
    ]
    return [*runs, *naming]


def forget_runs(location: Location, runs: Sequence[str]) -> None:
    """Remove runs with all that they said: events, results of checks, logs.

    Assets show as never materialised until the next run.
    """
    with open_instance(location) as instance:
        for run in runs:
            instance.delete_run(run)
        _forget_last_events(instance, runs)
    folder = instance_folder(location)
    for path in _event_files(location):
        if path.stem in runs:
            for part in _parts(path):
                part.unlink(missing_ok=True)
    for run in runs:
        shutil.rmtree(folder / "storage" / run, ignore_errors=True)
    for path in (folder / "history" / "runs" / "index.db", folder / "history" / "runs.db"):
        if path.exists():
            with sqlite3.connect(path, timeout=60, isolation_level=None) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()


def _forget_last_events(instance: dg.DagsterInstance, runs: Sequence[str]) -> None:
    """Remove what `delete_run` leaves (Dagster 1.13): last events of assets, and of checks."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    with storage.index_connection() as connection:
        executions, keys = AssetCheckExecutionsTable, AssetKeyTable
        connection.execute(executions.delete().where(executions.c.run_id.in_(runs)))
        connection.execute(
            keys.update()
            .values(last_materialization=None, cached_status_data=None)
            .where(keys.c.last_run_id.in_(runs))
        )


def _event_files(location: Location) -> list[Path]:
    """Databases of events, one for each run, where the instance keeps them in its folder."""
    found = (instance_folder(location) / "history" / "runs").glob("*.db")
    return sorted(path for path in found if path.stem != "index")


def _parts(database: Path) -> list[Path]:
    """A database with its log: a run at work, or one that was killed, has its latest events there.

    The log goes first, since without its database nothing would lead to it.
    """
    return [database.with_name(database.name + ending) for ending in ("-wal", "-shm", "")]


def _names_one(database: Path, needles: Sequence[bytes]) -> bool:
    contents = [part.read_bytes() for part in _parts(database) if part.exists()]
    return any(needle in content for needle in needles for content in contents)
