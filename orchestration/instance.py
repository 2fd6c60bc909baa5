"""The Dagster instance of a home: where it lies, its pools, and runs that died.

Out of scope: what runs do.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter
from dagster._core.storage.event_log import SqlEventLogStorage
from filelock import FileLock

from assets.processes import PROCESS_TAG, is_dead
from assets.resources import LANCE_POOL
from graindex.errors import HomeError
from graindex.location import Location
from orchestration.engines import keep_engines

keep_engines()

# Lance writers beside each other only make each other retry.
POOLS = {LANCE_POOL: 1, "gpu": 1}
_SLOT_SECONDS = 5.0
_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,  # between its record and its first step
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def instance_folder(location: Location) -> Path:
    """Folder of the Dagster instance: `$DAGSTER_HOME`, or in the home.

    Raises:
        HomeError: the home is on servers and `$DAGSTER_HOME` is not set.
    """
    chosen = os.environ.get("DAGSTER_HOME")
    if chosen:
        return Path(chosen).absolute()
    if location.folder is None:
        message = f"home {location.home!r} is on servers: set DAGSTER_HOME to a folder"
        raise HomeError(message)
    return location.folder / "dagster"


def open_instance(location: Location) -> dg.DagsterInstance:
    """The instance of a home, made when it is not there yet; dead runs are closed.

    Raises:
        HomeError: its folder cannot be written.
    """
    folder = instance_folder(location)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        message = f"{folder} cannot be written, so nothing can run on home {location.home!r}"
        raise HomeError(message)
    # Dagster makes its tables and pools without a thought for other processes that do the same.
    with FileLock(folder / ".opening.lock"):
        settings = folder / "dagster.yaml"
        if not settings.exists():
            shutil.copyfile(Path(__file__).with_name("dagster.yaml"), settings)
        instance = dg.DagsterInstance.from_config(str(folder))
        storage = instance.event_log_storage
        limits = {limit.name: limit.limit for limit in storage.get_pool_limits()}
        for pool, slots in POOLS.items():
            if limits.get(pool) != slots:
                storage.set_concurrency_slots(pool, slots)
        close_dead_runs(instance)
        assign_free_slots(instance)
    return instance


def assign_free_slots(instance: dg.DagsterInstance) -> None:
    """Give free slots of the pools to steps that wait for one.

    Dagster looks for a free slot, then queues the step, and gives slots to queued steps only where
    one is freed: a slot freed between the two leaves the step waiting for ever (1.13).
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    for pool in POOLS:
        if storage.has_unassigned_slots(pool):
            storage.assign_pending_steps([pool])


@contextmanager
def slots_assigned(instance: dg.DagsterInstance) -> Iterator[None]:
    """Look after the pools' slots while the block runs."""
    over = threading.Event()

    def look_after() -> None:
        while not over.wait(_SLOT_SECONDS):
            assign_free_slots(instance)

    thread = threading.Thread(target=look_after, name="slots", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs failed whose process on this machine is gone, and free their pool slots.

    A run killed with its process would otherwise hold its slot in a pool for ever.
    """
    closed = []
    for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED)):
        tag = run.tags.get(PROCESS_TAG)
        if tag is not None and is_dead(run.run_id, tag):
            instance.report_run_failed(run, "The process of this run is gone.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            closed.append(run.run_id)
    return closed
