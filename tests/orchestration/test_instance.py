"""The Dagster instance of a home: its settings, and runs whose process was killed."""

import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from dagster import DagsterRunStatus
from PIL import Image

from assets.processes import PROCESS_TAG, is_dead, process_tag
from assets.resources import DATASETS, LANCE_POOL
from graindex.registration import register_collection
from graindex.store import Store, open_store
from orchestration.instance import (
    POOLS,
    assign_free_slots,
    close_dead_runs,
    instance_folder,
    open_instance,
)
from orchestration.run import run_catalog

DATASET = "noise"
# The command line tags its runs when it makes them; runs of the daemon tag themselves.
BY_COMMAND = "from orchestration.run import run_catalog; run_catalog(store, ['noise'])"
BY_DAEMON = """
from assets.resources import StoreResource
from orchestration.definitions import defs
from orchestration.instance import open_instance
with open_instance(store.location) as instance:
    defs.resolve_job_def('catalog_micrographs').execute_in_process(
        instance=instance, partition_key='noise',
        resources={'store': StoreResource(home=store.location.home)})
"""


@pytest.fixture
def store(tmp_path: Path, empty_home: Path, converted_encoder: Path) -> Store:
    """A home with a registered collection of small images without a databar to read."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (96, 128), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    home = tmp_path / "home"
    shutil.copytree(empty_home, home)
    shutil.copytree(converted_encoder, home / "cache")
    opened = open_store(home)
    register_collection(opened, str(folder), dataset=DATASET)
    return opened


@pytest.fixture
def instance(store: Store) -> Iterator[dg.DagsterInstance]:
    with open_instance(store.location) as opened:
        opened.add_dynamic_partitions(str(DATASETS.name), [DATASET])
        yield opened


def claimed(instance: dg.DagsterInstance) -> list[str]:
    """Runs that hold a slot of the pool of vector writers."""
    info = instance.event_log_storage.get_concurrency_info(LANCE_POOL)
    return [slot.run_id for slot in info.claimed_slots]


def test_telemetry_and_invitations_are_off_and_crashed_runs_are_watched(
    instance: dg.DagsterInstance,
) -> None:
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled
    assert instance.run_monitoring_enabled


def test_pools_have_their_limits(instance: dg.DagsterInstance) -> None:
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == POOLS
    assert limits[LANCE_POOL] == 1


def test_a_step_that_was_queued_as_its_slot_came_free_gets_it(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    # What another process leaves between looking for a slot and queueing its step.
    storage.add_pending_step(LANCE_POOL, "run", "step", should_assign=False)
    assert not storage.claim_concurrency_slot(LANCE_POOL, "run", "step").is_claimed
    assign_free_slots(instance)
    assert storage.claim_concurrency_slot(LANCE_POOL, "run", "step").is_claimed
    storage.add_pending_step(LANCE_POOL, "run", "other", should_assign=False)
    assign_free_slots(instance)
    assert not storage.claim_concurrency_slot(LANCE_POOL, "run", "other").is_claimed
    storage.free_concurrency_slots_for_run("run")


def test_settings_that_a_user_changed_stay(store: Store) -> None:
    settings = instance_folder(store.location) / "dagster.yaml"
    open_instance(store.location).dispose()
    changed = settings.read_text(encoding="utf-8").replace("runs: 2", "runs: 7")
    settings.write_text(changed, encoding="utf-8")
    open_instance(store.location).dispose()
    assert settings.read_text(encoding="utf-8") == changed


@pytest.mark.parametrize(
    "body", [BY_COMMAND, pytest.param(BY_DAEMON, marks=pytest.mark.slow)], ids=["command", "daemon"]
)
def test_a_killed_run_is_closed_and_its_slot_is_free(
    store: Store, instance: dg.DagsterInstance, body: str
) -> None:
    opening = f"import graindex; store = graindex.open({store.location.home!r})\n"
    process = subprocess.Popen(
        [sys.executable, "-c", opening + body], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not claimed(instance):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "the run never came to the vectors"
        time.sleep(0.05)
    (run_id,) = claimed(instance)
    assert close_dead_runs(instance) == [], "a run that lives is left alone"
    process.send_signal(signal.SIGKILL)
    # Not waited for yet: a zombie is dead, too.
    while not is_dead(run_id, instance.get_run_by_id(run_id).tags[PROCESS_TAG]):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    with open_instance(store.location) as reopened:
        assert reopened.get_run_by_id(run_id).status is DagsterRunStatus.FAILURE
        assert claimed(reopened) == []
    process.wait()
    report = run_catalog(store, [DATASET], "+key:micrograph_vectors")
    assert not report.blocked, report.failures
    (vectors,) = (done for done in report.assets if done.asset == "micrograph_vectors")
    assert vectors.rows == 4


def test_a_run_is_dead_only_where_its_own_process_is_gone() -> None:
    mine = process_tag("first")
    assert mine.startswith(f"first {platform.node()} ")
    assert not is_dead("first", mine)
    run, machine, pid, created = mine.split(" ")
    assert is_dead(run, f"{run} {machine} {pid} {float(created) - 60:.2f}"), "the number is reused"
    elsewhere = f"{run} another-{machine} {pid} 0.00"
    assert not is_dead(run, elsewhere), "only that machine can tell"
    assert not is_dead("second", f"{run} {machine} {pid} 0.00"), "the tag of the first execution"
